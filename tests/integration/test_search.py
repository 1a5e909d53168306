"""Lists of what no index leads to: bounded in time, honest about it, and complete when one goes on."""

import re
from typing import Any

import pytest

from shared import dlq_store, job_search
from shared.database import Database
from shared.dlq_store import SQL as DLQ
from shared.dlq_store import DlqStore
from shared.ids import new_id
from shared.job_filter import HIGHEST, LOWEST, Filter
from shared.job_search import SQL as VIEWS
from shared.job_search import Pace, page_query
from shared.job_store import JobStore
from shared.job_views import JobViews
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import NewJob
from shared.settings import Settings
from tests.support.make import open_lease, raw

STRETCH = 10


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of every search is up after its first stretch."""
    monkeypatch.setattr(job_search, "SECONDS", 0.0)
    monkeypatch.setattr(dlq_store, "SECONDS", 0.0)
    for module in (job_search, dlq_store):
        monkeypatch.setattr(module, "FIRST_STRETCH", STRETCH)
    monkeypatch.setattr(job_search, "FIRST_STRETCH_OF_TEXT", STRETCH)


async def _submitted(jobs: JobStore, count: int, **fields: Any) -> list[str]:
    """Return the ids of new jobs, oldest first."""
    made = [NewJob(**raw({"id": new_id(), "type": "test.noop", "payload": b"{}"} | fields)) for _ in range(count)]
    await jobs.submit(made)
    return [job.id for job in made]


async def _buried(jobs: JobStore, leases: LeaseStore, settings: Settings, ids: list[str]) -> None:
    lease = await open_lease(leases, settings)
    claimed = await jobs.claim(ids, lease, ["test.noop"])
    await jobs.bury([(job.id, job.attempt, "attempts_spent", "it failed", "") for job in claimed], lease.id)


async def _pages(views: JobViews, wanted: Filter, limit: int) -> list[tuple[list[str], bool]]:
    """Go on until the end; return ids and `partial` of each page."""
    pages, before = [], None
    while True:
        page = await views.page(Filter(**{name: getattr(wanted, name) for name in Filter.__struct_fields__} | {"before_id": before}), limit)
        pages.append(([job.id for job in page.jobs], page.partial))
        if page.last_id is None:
            return pages
        before = page.last_id


@pytest.mark.usefixtures("no_time")
async def test_a_rare_job_is_found_page_by_page(jobs: JobStore, views: JobViews) -> None:
    """Each page looks at one stretch and says that it ended early; what is oldest comes last, nothing twice."""
    rare = await _submitted(jobs, 2, tags=["rare"], payload=b'{"text": "a needle"}')
    await _submitted(jobs, 3 * STRETCH - 1)
    for wanted in (Filter(tag="rare"), Filter(q="NEEDLE")):
        pages = await _pages(views, wanted, limit=50)
        found = [job_id for ids, _ in pages for job_id in ids]
        assert found == rare[::-1]
        assert [partial for _, partial in pages] == [True, True, True, False]


@pytest.mark.usefixtures("no_time")
async def test_a_page_that_is_full_in_time_is_not_partial(jobs: JobStore, views: JobViews) -> None:
    """Its cursor is its last job, and the rest follows."""
    ids = (await _submitted(jobs, 2 * STRETCH))[::-1]
    pages = await _pages(views, Filter(type="test.noop"), limit=8)
    assert pages[0] == (ids[:8], False)
    assert [job_id for page, _ in pages for job_id in page] == ids


@pytest.mark.usefixtures("no_time")
async def test_many_waiting_jobs_are_walked_past_few_are_sorted(jobs: JobStore, views: JobViews, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways lead to the same jobs; only the first may break off."""
    rare = await _submitted(jobs, 1, priority="high")
    await _submitted(jobs, 2 * STRETCH)
    wanted = Filter(status=[Status.PENDING], priority="high")
    assert await _pages(views, wanted, limit=5) == [(rare, False)]
    monkeypatch.setattr(job_search, "FEW_OPEN", 0)
    assert await _pages(views, wanted, limit=5) == [([], True), ([], True), (rare, False)]


@pytest.mark.usefixtures("no_time")
async def test_a_filtered_dead_letter_queue_is_read_letter_by_letter(
    jobs: JobStore, leases: LeaseStore, views: JobViews, settings: Settings
) -> None:
    """Jobs that are not dead cost nothing there: a stretch is so many letters, not so many jobs."""
    rare = await _submitted(jobs, 1, tags=["rare"])
    dead = await _submitted(jobs, STRETCH)
    await _buried(jobs, leases, settings, rare + dead)
    await _submitted(jobs, 5 * STRETCH)
    assert await _pages(views, Filter(status=[Status.FAILED], tag="rare"), limit=5) == [([], True), (rare, False)]
    assert await _pages(views, Filter(status=[Status.FAILED]), limit=50) == [((rare + dead)[::-1], False)]


@pytest.mark.usefixtures("no_time")
async def test_a_preview_may_break_off_but_what_acts_does_not(
    jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """The preview says that it is not complete; a replay means every letter."""
    dead = await _submitted(jobs, STRETCH)
    rare = await _submitted(jobs, 2, queue="rare")
    await _buried(jobs, leases, settings, dead + rare)
    letters = DlqStore(database)
    assert await letters.preview(Filter(queue="rare"), 50) == ([], False)
    assert await letters.preview(Filter(queue="rare", ids=[*rare[:1], *dead]), 50) == (rare[:1], True)
    assert await letters.preview(Filter(queue="default"), 3) == (dead[:3], False)
    assert await letters.preview(Filter(), 50) == (dead + rare, True), "all of them: no job is looked at"
    assert await letters.matching(Filter(queue="rare"), 50) == rare
    assert await letters.matching(Filter(ids=[rare[1], dead[0]]), 50) == [dead[0], rare[1]]


async def test_large_jobs_end_a_searched_page_early(jobs: JobStore, views: JobViews, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on bytes holds over all stretches of a page together."""
    monkeypatch.setattr(job_search, "MOST_PAGE_BYTES", 1000)
    monkeypatch.setattr(job_search, "FIRST_STRETCH", 2)
    ids = (await _submitted(jobs, 12, payload=b'"%s"' % (b"x" * 240)))[::-1]
    pages = await _pages(views, Filter(type="test.noop"), limit=50)
    assert [job_id for page, _ in pages for job_id in page] == ids
    assert max(len(page) for page, _ in pages) <= 6


async def test_ids_come_from_an_index_in_their_order(database: Database) -> None:
    """Sorted by hand they would all have to be read: for a milestone, and for the oldest letters."""
    await database.fetch("SET enable_seqscan = off")
    await database.fetch("SET enable_bitmapscan = off")
    matching = DLQ["matching"].format(wanted=DLQ["wanted"].format(where="true"), chosen="true")
    for query in (VIEWS["milestone"], VIEWS["milestone_dead"], DLQ["milestone"], matching):
        await database.fetch(f"PREPARE asked (uuid, uuid, bigint) AS {query}")
        plan = "\n".join(row[0] for row in await database.fetch(f"EXPLAIN EXECUTE asked ('{LOWEST}', '{HIGHEST}', 100)"))
        await database.fetch("DEALLOCATE asked")
        assert "Index" in plan
        assert "Sort" not in plan, plan


async def test_a_page_of_dead_jobs_looks_at_no_others(jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """Five of three hundred, and one more to know whether there are more."""
    await _buried(jobs, leases, settings, await _submitted(jobs, 300))
    await database.fetch("ANALYZE jobs, dead_letters")
    await database.fetch(f"PREPARE asked (uuid, uuid, bigint, bigint) AS {page_query('_dead', 'true')}")
    asked = f"EXPLAIN (ANALYZE, TIMING OFF) EXECUTE asked ('{LOWEST}', '{HIGHEST}', 6, 1000000)"
    plan = "\n".join(row[0] for row in await database.fetch(asked))
    looked_up = [int(loops) for loops in re.findall(r"jobs_pkey on jobs.*loops=(\d+)", plan)]
    assert looked_up == [6], plan


@pytest.mark.parametrize(
    ("spent", "next_length"),
    [(0.001, 1000), (0.010, 100), (0.0199, 0), (5.0, 0)],
)
def test_the_pace_follows_the_clock(spent: float, next_length: int) -> None:
    """Ten times as far while that is cheap, as far as the time lasts, nothing when a first stretch would not fit any more."""
    moments = iter([0.0, spent])
    pace = Pace(100, 0.020, clock=lambda: next(moments))
    assert pace.stretch() == 100
    assert pace.stretch() == next_length
