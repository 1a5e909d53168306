"""Redis's clock may be set, also while the server is down: what goes by it is put right, by one at a time."""

import asyncio

import pytest
from msgspec import Raw

from consumer import clock_watch
from consumer.clock_watch import ClockWatch
from consumer.reconciler import Reconciler
from consumer.triage import Triage
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.errors import DatabaseUnavailableError
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.models import Due, NewJob
from shared.settings import Settings

NOBODY = 3
LIVES = "an earlier life"


def later(seconds: float) -> NewJob:
    """A job that waits."""
    return NewJob(id=new_id(), type="noop", payload=Raw(b"{}"), delay=seconds)


@pytest.fixture
async def reconciler(jobs: JobStore, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> Reconciler:
    """One that has made its first round."""
    made = Reconciler(dispatch, leases, broker, Triage(jobs, dispatch, broker, NOBODY))
    await made.step()
    return made


async def change(broker: Broker, *, ahead: float = 0.0, run_id: str | None = None) -> str:
    """Note that the ZSET was filled by a clock that was so many seconds ahead of what it is now. Return the note that was there."""
    before = await broker.clock_note()
    seconds, life = before.split(" ")
    assert await broker.end_filling(before, f"{float(seconds) - ahead} {run_id or life}")
    return before


async def due_in(broker: Broker) -> dict[str, float]:
    """When each member of the ZSET is due, in tens of seconds from now."""
    now = await broker.time()
    return {
        name.decode(): round(score - now, -1) for name, score in await broker.client.zrange(broker.keys.delayed, 0, -1, withscores=True)
    }


@pytest.mark.parametrize(("ahead", "run_id"), [(3600.0, None), (-3600.0, None), (0.0, LIVES)], ids=["ahead", "back", "there and back"])
async def test_the_zset_is_filled_anew(
    ahead: float, run_id: str | None, reconciler: Reconciler, jobs: JobStore, broker: Broker, database: Database
) -> None:
    """What waits would come an hour early or late, and what has been done since would lie there. What was due is there, too."""
    soon, overdue, backlog = later(600), later(600), NewJob(id=new_id(), type="noop", payload=Raw(b"{}"))
    await jobs.submit([soon, overdue, backlog])
    await database.fetch("UPDATE jobs SET run_at = now() - interval '2 seconds' WHERE id = ANY($1::uuid[])", [overdue.id, backlog.id])
    before = await change(broker, ahead=ahead, run_id=run_id)
    await broker.delay([Due(new_id(), "normal", 3630.0)])
    for _ in range(2):
        await reconciler.step()
    assert await due_in(broker) == {soon.id: 600, overdue.id: 0}
    ahead_now, life = (await broker.clock_note()).split(" ")
    assert life == before.split(" ")[1]
    assert float(ahead_now) == pytest.approx(float(before.split(" ")[0]), abs=1)


async def test_nothing_is_touched_while_the_clock_goes_as_it_should(reconciler: Reconciler, broker: Broker) -> None:
    """A member that a second look would have taken away stays."""
    stranger = new_id()
    await broker.delay([Due(stranger, "normal", 600.0)])
    await change(broker, ahead=clock_watch.SKEW_SECONDS - 1)
    await reconciler.step()
    assert list(await due_in(broker)) == [stranger]


async def test_what_is_there_at_the_first_look_stays(reconciler: Reconciler, broker: Broker) -> None:
    """Nothing says that it is wrong."""
    await broker.client.delete(broker.keys.clock)
    stranger = new_id()
    await broker.delay([Due(stranger, "normal", 600.0)])
    await reconciler.step()
    assert list(await due_in(broker)) == [stranger]
    assert await broker.clock_note()


async def test_a_look_that_took_long_says_nothing(
    reconciler: Reconciler, broker: Broker, dispatch: DispatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL was locked or frozen between the two clocks."""
    moment = dispatch.moment

    async def slow(seconds: float) -> object:
        found = await moment(seconds)
        await asyncio.sleep(0.02)
        return found

    monkeypatch.setattr(clock_watch, "SURE_SECONDS", 0.01)
    monkeypatch.setattr(dispatch, "moment", slow)
    await change(broker, run_id=LIVES)
    await reconciler.step()
    assert (await broker.clock_note()).endswith(LIVES)


async def test_one_fills_it_at_a_time(dispatch: DispatchStore, broker: Broker, reconciler: Reconciler) -> None:
    """Eight find it at once; those that come while it is being filled leave it alone."""
    del reconciler
    await change(broker, run_id=LIVES)
    watches = [ClockWatch(dispatch, broker) for _ in range(8)]
    found = await asyncio.gather(*(watch.was_set() for watch in watches))
    assert sum(found) == 1
    filler = watches.pop(found.index(True))
    assert not await watches[0].was_set()
    await filler.done()
    assert not await watches[0].was_set()


async def test_who_dies_while_it_fills_the_zset_is_relieved(
    reconciler: Reconciler, jobs: JobStore, dispatch: DispatchStore, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the clock is right again by then. If it lives after all, its late note does not count."""
    await jobs.submit([waits := later(600)])
    await change(broker, ahead=3600.0)
    dead = ClockWatch(dispatch, broker)
    assert await dead.was_set()
    await reconciler.step()
    assert await due_in(broker) == {}
    monkeypatch.setattr(clock_watch, "FILLING_SECONDS", -1.0)
    other = ClockWatch(dispatch, broker)
    assert await other.was_set()
    await dead.done()
    assert (await broker.clock_note()).startswith(clock_watch.FILLING)
    await other.done()
    await change(broker, run_id=LIVES)
    await reconciler.step()
    assert await due_in(broker) == {waits.id: 600}


async def test_who_is_interrupted_goes_on(
    reconciler: Reconciler, jobs: JobStore, broker: Broker, dispatch: DispatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store was away in the middle: the ZSET is not left empty until its filler can be taken for dead."""

    def away(*_: object) -> None:
        raise DatabaseUnavailableError("not now")

    await jobs.submit([waits := later(600)])
    await change(broker, ahead=3600.0)
    with monkeypatch.context() as outage:
        outage.setattr(dispatch, "due_soon", away)
        with pytest.raises(DatabaseUnavailableError):
            await reconciler.step()
    assert await due_in(broker) == {}
    await reconciler.step()
    assert await due_in(broker) == {waits.id: 600}
    assert not (await broker.clock_note()).startswith(clock_watch.FILLING)


async def test_what_is_pending_counts_as_delivered_now(reconciler: Reconciler, broker: Broker, settings: Settings) -> None:
    """Delivered by a clock that was an hour slow it would be idle for an hour; each entry stays with whoever has it."""
    await broker.publish([("normal", new_id()) for _ in range(5)])
    taken = {consumer: [entry.entry_id for entry in await broker.take(consumer, count)] for consumer, count in (("one", 3), ("two", 2))}
    for consumer, ids in taken.items():
        await broker.client.xclaim(broker.keys.base, settings.group, consumer, 0, ids, idle=3_600_000, justid=True)
    await change(broker, ahead=3600.0)
    await reconciler.step()
    pending = await broker.client.xpending_range(broker.keys.base, settings.group, "-", "+", 10)
    assert {entry["message_id"].decode(): entry["consumer"].decode() for entry in pending} == {
        entry_id: consumer for consumer, ids in taken.items() for entry_id in ids
    }
    assert max(entry["time_since_delivered"] for entry in pending) < 60_000
    assert {entry["times_delivered"] for entry in pending} == {1}
