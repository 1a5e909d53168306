"""Two hands break things at a time, but never the same server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import injector, segment
from chaos.faults import Fault, Hit, MissedError
from chaos.figures import figures_of
from chaos.history import History
from chaos.injector import Injector
from chaos.journal import Journal, read
from chaos.reading import read_journal


def faults(log: list[str], *names: str) -> dict[str, Fault]:
    """Faults that take a moment and note when they begin and end; `*.miss` never strikes."""

    def made(name: str) -> Fault:
        @asynccontextmanager
        async def deed(_world: Any, _dice: Random) -> AsyncIterator[Hit]:
            if name.endswith(".miss"):
                raise MissedError("nothing was there")
            log.append(f"+{name}")
            yield Hit(0.02)
            log.append(f"-{name}")

        return Fault(name, "kind", frozenset(), deed)

    return {name: made(name) for name in names}


async def struck(monkeypatch: pytest.MonkeyPatch, folder: Path, names: list[str], hands: int) -> tuple[list[str], Injector, Path]:
    """Inject for half a second."""
    log: list[str] = []
    monkeypatch.setattr(injector, "FAULTS", faults(log, *names))
    stop = asyncio.Event()
    with Journal(folder / "journal") as journal:
        world: Any = SimpleNamespace(journal=journal)
        hand = Injector(world, names, Random(1), hands, pause=(0.0, 0.01))
        asyncio.get_running_loop().call_later(0.5, stop.set)
        await hand.run(stop)
    return log, hand, folder / "journal"


def at_once(log: list[str]) -> set[frozenset[str]]:
    """Return what was under way together."""
    open_ones: list[str] = []
    seen = set()
    for event in log:
        (open_ones.append if event[0] == "+" else open_ones.remove)(event[1:])
        seen.add(frozenset(open_ones))
        assert len(open_ones) <= 2
    return seen


async def test_two_hands_never_break_one_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both stores at a time, two processes at a time, but not Redis twice."""
    log, _, _ = await struck(monkeypatch, tmp_path, ["redis.kill", "redis.flush", "postgres.kill", "consumer.kill"], 2)
    together = at_once(log)
    assert frozenset({"redis.kill", "redis.flush"}) not in together
    assert frozenset({"redis.kill", "postgres.kill"}) in together


async def test_one_hand_does_one_thing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And all that struck is healed, though the time is up."""
    log, _, journal = await struck(monkeypatch, tmp_path, ["redis.kill", "consumer.kill"], 1)
    assert all(len(open_ones) <= 1 for open_ones in at_once(log))
    events = [event["e"] for event in read(journal)]
    assert events.count("struck") == events.count("healed") == len(log) / 2 > 3


async def test_what_does_not_strike_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the reason, and it is not counted."""
    log, hand, journal = await struck(monkeypatch, tmp_path, ["redis.miss"], 2)
    assert (log, hand.missed, [*read(journal)]) == ([], {"redis.miss": "nothing was there"}, [])


async def test_each_has_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once before any has it twice."""
    log, _, _ = await struck(monkeypatch, tmp_path, ["redis.kill", "consumer.kill", "postgres.kill"], 1)
    begun = [event for event in log if event[0] == "+"]
    rounds = [{*begun[i : i + 3]} for i in range(0, len(begun) - 2, 3)]
    assert len(rounds) > 1
    assert all(len(names) == 3 for names in rounds)


async def test_what_was_cut_short_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is noted until when it lasted, and that it is missed."""
    over = asyncio.Event()

    @asynccontextmanager
    async def deed(_world: Any, _dice: Random) -> AsyncIterator[Hit]:
        asyncio.get_running_loop().call_later(0.2, over.set)
        yield Hit(20.0, (11,), "consumer-1", "consumer at claimed", lambda: not over.is_set())

    monkeypatch.setattr(injector, "FAULTS", {"freeze": Fault("freeze", "SIGSTOP", frozenset(), deed)})
    with Journal(tmp_path / "journal") as journal:
        world: Any = SimpleNamespace(journal=journal)
        hand = Injector(world, ["freeze"], Random(1), 1, pause=(0.0, 0.0))
        async with asyncio.timeout(5):
            await hand.run(over)
    history = History()
    read_journal(history, tmp_path / "journal")
    [strike] = history.strikes
    assert 0.1 < (strike.healed or 0) - strike.began < 1
    assert "was cut short" in strike.missed
    figures = figures_of(history)
    assert (figures.by_fault, figures.injected, figures.by_aim["consumer at claimed"]) == ({}, {}, 0)


@pytest.mark.parametrize("seconds", [0.0, 0.1])
async def test_what_had_its_effect_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float) -> None:
    """By its name, its kind and its aim."""
    stop = asyncio.Event()

    @asynccontextmanager
    async def deed(_world: Any, _dice: Random) -> AsyncIterator[Hit]:
        stop.set()
        yield Hit(seconds, (11,), "consumer-1", "consumer at claimed")

    monkeypatch.setattr(injector, "FAULTS", {"freeze": Fault("freeze", "SIGSTOP", frozenset(), deed)})
    with Journal(tmp_path / "journal") as journal:
        world: Any = SimpleNamespace(journal=journal)
        await Injector(world, ["freeze"], Random(1), 1, pause=(0.0, 0.0)).run(stop)
    history = History()
    read_journal(history, tmp_path / "journal")
    figures = figures_of(history)
    assert (figures.by_fault, figures.injected["SIGSTOP"], figures.by_aim["consumer at claimed"]) == ({"freeze": 1}, 1, 1)
    assert (history.strikes[0].victims, figures.by_aim["consumer at read"]) == ([11], 0)


async def test_load_lasts_until_the_last_fault_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wakes up long after the last fault began has to meet some."""
    monkeypatch.setattr(segment, "ECHO_SECONDS", 0.1)
    done: list[str] = []

    async def inject(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.3)
        done.append("woke up")

    async def load(stop: asyncio.Event) -> None:
        await stop.wait()
        done.append("load ended")

    await segment._both(load, inject, 0.05)
    assert done == ["woke up", "load ended"]
