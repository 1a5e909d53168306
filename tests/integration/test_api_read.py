"""What people ask: one job, its attempts, lists and pages, statistics, probes."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec import Raw

from shared.broker import Broker
from shared.database import Database
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.models import NewJob
from shared.settings import Settings
from tests.support.eventually import eventually
from tests.support.make import in_state, open_lease
from tests.support.producer import Api
from tests.support.raw_http import exchange, request


async def test_an_id_in_capitals_is_the_same_id(api: Api) -> None:
    """UUIDs are case-insensitive; the answer has the canonical form."""
    job_id = await api.submitted()
    assert (await api.job(job_id.upper()))["id"] == job_id


async def test_a_job_that_is_not_there(api: Api) -> None:
    """404 on every route of a job, whether its id is unknown or none at all."""
    for job_id in (new_id(), "nonsense", "1", "0" * 36, "%00", "%ff", "..", "a" * 5000, "%F0%9F%98%80"):
        for path in ("", "/status", "/attempts"):
            answer = await api.get(f"/jobs/{job_id}{path}")
            if job_id != "..":
                answer.problem(404)
        for action in ("retry", "cancel"):
            if job_id != "..":
                (await api.post(f"/jobs/{job_id}/{action}")).problem(404)


async def test_the_short_form(api: Api) -> None:
    """What a poller wants and no payload."""
    job_id = await api.submitted(payload={"large": "x"})
    short = (await api.get(f"/jobs/{job_id}/status")).json
    assert short.keys() == {"id", "type", "status", "attempts", "failures", "max_attempts", "reason", "error", "run_at", "updated_at"}
    assert (short["id"], short["status"]) == (job_id, "PENDING")


async def test_a_poller_is_told_that_nothing_changed(api: Api) -> None:
    """304 without a body for the tag that it holds, 200 with another tag once the job moved."""
    job_id = await api.submitted()
    tag = (await api.get(f"/jobs/{job_id}")).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        unchanged = await api.get(f"/jobs/{job_id}", headers={"If-None-Match": known})
        assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", tag)
    await api.post(f"/jobs/{job_id}/cancel")
    changed = await api.get(f"/jobs/{job_id}", headers={"If-None-Match": tag})
    assert (changed.status, changed.json["status"]) == (200, "CANCELLED")
    assert changed.headers["ETag"] != tag


async def test_every_attempt_is_shown(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """The failed ones with their errors, then the one that won."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await in_state(jobs, database, lease, Status.RETRYING)
    await jobs.claim([job_id], lease, ["test.noop"])
    await jobs.succeed([(job_id, attempt + 1, b'{"a": 1}')], lease.id)
    answer = (await api.get(f"/jobs/{job_id}/attempts")).json
    assert answer["id"] == job_id
    assert [(item["attempt"], item["outcome"], item["error"], item["worker"]) for item in answer["attempts"]] == [
        (1, "failed", "it failed", lease.worker),
        (2, "succeeded", None, lease.worker),
    ]
    assert all(item["started_at"] and item["finished_at"] for item in answer["attempts"])
    assert (await api.job(job_id))["result"] == {"a": 1}
    assert (await api.get(f"/jobs/{await api.submitted()}/attempts")).json["attempts"] == []


async def test_each_filter_finds_its_jobs(api: Api) -> None:
    """One by one and all together; lists are newest first."""
    plain = await api.submitted()
    special = await api.submitted(
        type="csv.generate", queue="reports", priority="high", tags=["red", "blue"], payload={"name": "Quarterly Übersicht"}, delay=3600
    )
    border = quote((await api.job(special))["created_at"])
    cases = {
        "": [special, plain],
        "status=pending": [plain],
        "status=SCHEDULED": [special],
        "status=PENDING,SCHEDULED": [special, plain],
        "status=COMPLETED": [],
        "status=FAILED": [],
        "type=csv.generate": [special],
        "queue=reports": [special],
        "priority=high": [special],
        "tag=blue": [special],
        "tag=green": [],
        "q=quarterly": [special],
        "q=%C3%9Cbersicht": [special],
        "q=50%25": [],
        f"created_after={border}": [special],
        f"created_before={border}": [plain],
        "created_after=2020-01-01T00:00:00%2B02:00&created_before=9999-12-31T23:59:59Z": [special, plain],
        "created_after=9999-12-31T23:59:59Z": [],
        "created_before=0001-01-01T00:00:00Z": [],
        "status=SCHEDULED&type=csv.generate&queue=reports&priority=high&tag=red&q=name&created_after=2020-01-01T00:00:00Z": [special],
        "status=SCHEDULED&type=test.noop": [],
        "limit=1": [special],
        "limit=1000": [special, plain],
    }
    found = {query: [job["id"] for job in (await api.get(f"/jobs?{query}")).json["jobs"]] for query in cases}
    assert found == cases


async def test_bad_filters_are_refused(api: Api, settings: Settings) -> None:
    """422 that says what is wrong; never an empty list that looks like an answer."""
    for query in (
        "status=", "status=DONE", "status=PENDING,", "priority=urgent", "created_after=yesterday", "created_after=2026-01-01",
        "created_after=2026-01-01T00:00:00", "created_after=2026-01-01T00:00:00+02:00", "created_before=0001-01-01T00:00:00%2B14:00",
        "created_before=9999-12-31T23:59:59-14:00", "created_after=nan", "created_after=1e400", "limit=0", "limit=1001", "limit=-1",
        "limit=", "limit=x", "limit=1.5", "limit=00000000100000000000", f"limit={'9' * 5000}", "limit=%D9%A1", "color=red", "%FF=1",
        "tag=%00", "tag=a&tag=b", "before_id=x",
    ):  # fmt: skip
        (await api.get(f"/jobs?{query}")).problem(422)
    for query in ("tag=\udcff", "\udcff=1", "q=\udced\udca0\udc80"):
        answer = await exchange(settings.port, request("GET", f"/jobs?{query}", "Connection: close"))
        answer.problem(answer.status)
        assert answer.status in {400, 422}
    for query in ("status=FAILED", "q=x"):
        (await api.get(f"/jobs/dead?{query}")).problem(422)


async def test_pages_are_complete_and_without_repeats_while_jobs_come_in(api: Api) -> None:
    """What was there when the first page was read is on exactly one page, newest first."""
    before = (await api.post("/jobs/bulk", [{"type": "test.noop"}] * 95)).json["ids"]
    seen, query = [], "limit=10"
    while query:
        page = (await api.get(f"/jobs?{query}")).json
        seen += [job["id"] for job in page["jobs"]]
        await asyncio.gather(*(api.submitted() for _ in range(3)))
        query = f"limit=10&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == sorted(before, reverse=True)


async def test_the_last_page_has_no_cursor(api: Api) -> None:
    """Also when it is exactly full."""
    await api.post("/jobs/bulk", [{"type": "test.noop"}] * 4)
    first = (await api.get("/jobs?limit=2")).json
    second = (await api.get(f"/jobs?limit=2&cursor={first['next_cursor']}")).json
    assert (len(second["jobs"]), second["next_cursor"]) == (2, None)


async def test_a_page_of_large_jobs_ends_early(api: Api, jobs: JobStore) -> None:
    """However many are asked for, an answer has about 8 MiB; the cursor goes on behind it and no job is left out."""
    made = [NewJob(id=new_id(), type="test.noop", payload=Raw(b'{"large":"%s"}' % (b"x" * 1_000_000))) for _ in range(20)]
    for job in made:
        await jobs.submit([job])
    small = await api.submitted()
    seen, sizes, query = [], [], "limit=1000"
    while query:
        page = await api.get(f"/jobs?{query}")
        seen += [job["id"] for job in page.json["jobs"]]
        sizes.append(len(page.body))
        query = f"limit=1000&cursor={page.json['next_cursor']}" if page.json["next_cursor"] else ""
    assert seen == [small, *(job.id for job in reversed(made))]
    assert len(sizes) == 3
    assert 8_000_000 < max(sizes) < 10_000_000


async def test_a_cursor_that_was_tampered_with_is_refused(api: Api) -> None:
    """400 for every byte that is not ours."""
    await api.post("/jobs/bulk", [{"type": "test.noop"}] * 2)
    cursor = (await api.get("/jobs?limit=1")).json["next_cursor"]
    swapped = [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(len(cursor))]
    for bad in (*swapped, "", "x", cursor[:-1], cursor + "A", new_id(), "%00", "%FF", "\u00fc"):
        for path in ("/jobs", "/jobs/dead"):
            (await api.get(f"{path}?cursor={bad}")).problem(400)


async def test_the_dead_are_listed(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings) -> None:
    """FAILED jobs alone, newest first, in pages."""
    lease = await open_lease(leases, settings)
    await in_state(jobs, database, lease, Status.COMPLETED)
    dead = [(await in_state(jobs, database, lease, Status.FAILED))[0] for _ in range(3)]
    first = (await api.get("/jobs/dead?limit=2")).json
    second = (await api.get(f"/jobs/dead?limit=2&cursor={first['next_cursor']}")).json
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == dead[::-1]
    assert second["next_cursor"] is None
    assert {(job["status"], job["reason"], job["error"]) for job in first["jobs"]} == {("FAILED", "attempts_spent", "it failed")}
    assert [job["id"] for job in (await api.get("/jobs?status=FAILED")).json["jobs"]] == dead[::-1]


async def test_statistics(api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings, broker: Broker) -> None:
    """Counts by status, queue and type, what Redis holds, ages and latencies."""
    lease = await open_lease(leases, settings)
    await in_state(jobs, database, lease, Status.COMPLETED)
    await in_state(jobs, database, lease, Status.FAILED)
    await api.submitted(queue="reports", type="csv.generate")
    await api.submitted(delay=60)
    stats = await eventually(lambda: _settled_stats(api))
    assert stats["by_status"] == dict.fromkeys(Status, 0) | {"COMPLETED": 1, "FAILED": 1, "PENDING": 1, "SCHEDULED": 1}
    assert stats["by_queue"]["reports"] == {"PENDING": 1}
    assert stats["by_type"]["test.noop"] == {"COMPLETED": 1, "FAILED": 1, "SCHEDULED": 1}
    assert stats["dispatch"] == {"high": 0, "normal": 1, "low": 0, "delayed": 1, "dlq": 0, "pending": 0, "lag": 1}
    assert stats["throughput_per_second"] == 1 / 60
    assert 0 <= stats["oldest_age_seconds"] < 60
    assert stats["latency_seconds"]["run"].keys() == stats["latency_seconds"]["wait"].keys() == {"p50", "p95", "p99"}
    assert stats["workers"] == 1
    await broker.client.delete(*broker.keys.all(["reports"]))
    assert (await api.get("/jobs/stats")).json["dispatch"]["lag"] == 0  # no group yet is not "Redis is away"


async def test_latencies_are_shown_while_a_backlog_waits(
    api: Api, jobs: JobStore, leases: LeaseStore, database: Database, settings: Settings
) -> None:
    """More jobs wait than are looked at, for now and for later; those that completed before them are still found."""
    await in_state(jobs, database, await open_lease(leases, settings), Status.COMPLETED)
    for delay in (None, 3600.0):
        await jobs.submit([NewJob(id=new_id(), type="test.noop", payload=Raw(b"{}"), delay=delay) for _ in range(1100)])
    assert (await api.get("/jobs/stats")).json["latency_seconds"]["run"].keys() == {"p50", "p95", "p99"}


async def _settled_stats(api: Api) -> Any:
    stats = (await api.get("/jobs/stats")).json
    return stats if stats["dispatch"]["normal"] == stats["dispatch"]["delayed"] == 1 else None


async def test_workers_are_listed(api: Api, leases: LeaseStore, settings: Settings) -> None:
    """Who lives, and what they run."""
    lease = await open_lease(leases, settings)
    [worker] = (await api.get("/workers")).json["workers"]
    assert (worker["worker"], worker["types"], worker["draining"]) == (lease.worker, ["test.noop"], False)


async def test_times_are_utc(api: Api) -> None:
    """Whatever zone the client writes."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    job = await api.job(await api.submitted(run_at=moment.isoformat().replace("+00:00", "Z")))
    assert job["run_at"] == moment.isoformat().replace("+00:00", "Z")


async def test_metrics_count_answers(api: Api) -> None:
    """Prometheus' text format."""
    await api.submitted()
    answer = await api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert b'millstream_http_requests_total{status="202"}' in answer.body
