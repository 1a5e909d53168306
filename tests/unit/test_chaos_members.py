"""Processes that faults kill, freeze and start again: what counts has happened to the process that was meant, by the fault that says so."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from chaos.faults import FAULTS, Hit, MissedError, clocks, points
from chaos.injector import Injector
from chaos.journal import Journal, read
from chaos.member import Member
from chaos.servers import until
from chaos.world import World

READY = "print('ready', flush=True)\n"
SLEEP = READY + "import time\ntime.sleep(60)"
# Comes to every point again and again.
POINTS = f"""
import itertools, os, time
from shared import probe
probe.arm(os.environ.get("MILLSTREAM_PROBES", ""))
{READY}
for _ in itertools.count():
    time.sleep(0.02)
    for point in {[point for points in points.POINTS.values() for point in points]}:
        probe.reached(point)
"""
# Is struck by somebody else, before it comes to any point.
STRUCK = "import os, signal, time\n" + READY + "if 'MILLSTREAM_PROBES' in os.environ: os.kill(os.getpid(), signal.{})\ntime.sleep(60)"
# Listens after a while, logs by its clock, and writes down when it began and when it was ready.
LISTENS = """
import datetime, json, os, socket, sys, time
def note(what):
    with open(sys.argv[1], "a") as file:
        print(what, file=file)
note("begins")
time.sleep(0.5)
line = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"pid": os.getpid(), "timestamp": datetime.datetime.now(datetime.UTC).isoformat()}), flush=True)
note("listens")
time.sleep(60)
"""


class Stand:
    """A world of small processes, with no servers behind it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        servers: Any = SimpleNamespace(folder=folder)
        self.world = World(servers, folder, self.journal, Random(1), {})
        self.folder = folder

    async def add(self, part: str, script: str, *words: str, before: tuple[str, ...] = (), home: Path | None = None) -> Member:
        """Start one more."""
        name = f"{part}-{len(self.world.members) + 1}"
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
        member = Member(name, part, [*before, sys.executable, "-c", script, *words], environment, self.folder / f"{name}.log", home)
        self.world.members.append(member)
        self.world.begin(member)

        async def ready() -> bool:
            return bool(member.last_line())

        await until(ready, 20, "it is ready")
        return member

    async def inject(self, fault: str, after: float, deed: Any) -> list[dict[str, Any]]:
        """Let one fault strike, do something so many seconds after that, and return what was noted."""
        stop = asyncio.Event()
        hand = Injector(self.world, [fault], Random(1), 1, pause=(0.0, 0.0))
        running = asyncio.create_task(hand.run(stop))

        async def struck() -> bool:
            return any(event["e"] == "struck" for event in read(self.folder / "journal"))

        await until(struck, 10, "it strikes")
        stop.set()
        await asyncio.sleep(after)
        deed()
        async with asyncio.timeout(20):
            await running
        return [*read(self.folder / "journal")]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """An empty one; its processes are gone afterwards."""
    made = Stand(tmp_path)
    yield made
    made.world.kill_all()
    made.journal.__exit__()


async def strike(stand: Stand, name: str, seed: int = 1) -> Hit:
    """Let a fault strike, and mend it at once."""
    async with FAULTS[name].deed(stand.world, Random(seed)) as hit:
        return hit


async def test_a_member_that_a_fault_has_is_offered_to_no_other(stand: Stand) -> None:
    """And is free again when that one is over."""
    member = await stand.add("consumer", SLEEP)
    async with FAULTS["consumer.freeze.brief"].deed(stand.world, Random(1)):
        assert member.stopped
        for name in ("consumer.freeze.past", "consumer.kill", "consumer.kill.point", "consumer.freeze.point", "upgrade.rolling"):
            with pytest.raises(MissedError):
                await strike(stand, name)
        assert member.stopped
    assert stand.world.any("consumer") is member
    assert (await strike(stand, "consumer.kill")).victims == (member.pid,)


@pytest.mark.parametrize("how", [signal.SIGCONT, signal.SIGKILL])
async def test_who_wakes_up_early_was_not_frozen_for_so_long(stand: Stand, how: signal.Signals) -> None:
    """Nor who was killed meanwhile; until when it stood is noted."""
    member = await stand.add("consumer", SLEEP)
    events = await stand.inject("consumer.freeze.past", 0.3, lambda: os.kill(member.pid, how))
    kinds = [event["e"] for event in events]
    assert kinds == ["started", "struck", "missed", "healed"]
    assert events[3]["t"] - events[1]["t"] < 2


async def test_a_freeze_lasts_as_long_as_it_says(stand: Stand) -> None:
    """Then the process goes on."""
    member = await stand.add("consumer", SLEEP)
    events = await stand.inject("consumer.freeze.brief", 0.0, lambda: None)
    assert [event["e"] for event in events] == ["started", "struck", "mending", "healed"]
    assert events[2]["t"] - events[1]["t"] == pytest.approx(stand.world.settings.lease_seconds / 2, abs=0.5)
    assert (member.alive, member.stopped) == (True, False)


async def test_a_kill_at_a_point_is_one_there(stand: Stand) -> None:
    """Announced by the process that struck itself."""
    member = await stand.add("producer", POINTS)
    first = member.pid
    hit = await strike(stand, "producer.kill.point")
    assert hit.victims == (first, member.pid)
    assert hit.aim in points.AIMS
    assert hit.aim.startswith("producer at ")
    assert hit.detail == hit.aim.replace("producer", member.name)
    assert stand.world.deaths == {first: -9, member.pid: -9}
    assert [event["by_us"] for event in read(stand.folder / "journal") if event["e"] == "died"] == [True, True]


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
async def test_who_is_killed_on_the_way_did_not_come_to_the_point(stand: Stand, how: str) -> None:
    """Whoever did it."""
    await stand.add("producer", STRUCK.format(how))
    with pytest.raises(MissedError, match="before it came to"):
        await strike(stand, "producer.kill.point")
    assert [event["by_us"] for event in read(stand.folder / "journal") if event["e"] == "died"] == [True, False]


async def test_a_freeze_at_a_point_is_one_there(stand: Stand) -> None:
    """The process stands until it is over."""
    member = await stand.add("producer", POINTS)
    async with FAULTS["producer.freeze.point"].deed(stand.world, Random(1)) as hit:
        assert member.stopped
        assert hit.aim.startswith("producer at ")
    assert not member.stopped


async def test_who_stands_on_the_way_did_not_come_to_the_point(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else has stopped it; nobody is left standing."""
    monkeypatch.setattr(points, "POINT_SECONDS", 0.5)
    member = await stand.add("producer", STRUCK.format("SIGSTOP"))
    with pytest.raises(MissedError, match="did not come to"):
        await strike(stand, "producer.freeze.point")
    assert not member.alive


async def test_all_points_are_counted_from_nought() -> None:
    """By component and point."""
    assert len({*points.AIMS}) == len(points.AIMS) == sum(map(len, points.POINTS.values()))
    assert points.SCENES.keys() <= points.RARE <= {point for points_ in points.POINTS.values() for point in points_}


@pytest.mark.skipif(not clocks.library(), reason="wants libfaketime")
@pytest.mark.parametrize("works", [True, False])
async def test_a_clock_is_off_when_the_log_says_so(stand: Stand, *, works: bool) -> None:
    """For longer than a lease; where libfaketime has no effect that is no fault."""
    before = () if works else ("env", "-u", "LD_PRELOAD")
    member = await stand.add("producer", LISTENS, str(stand.folder / "notes"), before=before)
    first = member.pid
    if works:
        hit = await strike(stand, "clock.off")
        assert hit.seconds >= 12
    else:
        with pytest.raises(MissedError, match="libfaketime does nothing"):
            await strike(stand, "clock.off")
    assert member.alive
    assert member.pid != first


async def test_a_rolling_restart_goes_on_when_the_last_one_is_ready(stand: Stand) -> None:
    """One after the other."""
    notes = stand.folder / "notes"
    for _ in range(3):
        await stand.add("producer", LISTENS, str(notes))
    notes.unlink()
    hit = await strike(stand, "upgrade.rolling")
    assert hit.detail == "3 processes"
    assert notes.read_text().split() == ["begins", "listens"] * 3


async def test_an_upgrade_goes_to_the_other_version_and_back(stand: Stand) -> None:
    """All that are free, from the earlier one to ours first; a restart by others changes no version."""
    earlier, later = stand.folder / "earlier", stand.folder / "later"
    for folder in (earlier, later):
        folder.mkdir()
    stand.world.homes = [earlier, later]
    members = [await stand.add("producer", LISTENS, str(stand.folder / "notes"), home=earlier) for _ in range(3)]

    def homes() -> list[Path]:
        return [Path(psutil.Process(member.pid).cwd()) for member in members]

    assert homes() == [earlier] * 3
    assert (await strike(stand, "upgrade.rolling")).detail == f"3 processes to {later}"
    assert homes() == [later] * 3
    await stand.world.restart(members[0])
    with stand.world.holding(members[0]):
        assert (await strike(stand, "upgrade.rolling")).detail == f"2 processes to {earlier}"
    assert homes() == [later, earlier, earlier]
