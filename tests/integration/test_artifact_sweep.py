"""The janitor and artifacts: those of forgotten jobs go, in pages, and a bucket that is away holds up nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consumer import artifact_sweep
from consumer.artifact_sweep import ArtifactSweep
from consumer.janitor import Janitor
from shared.artifacts import Artifacts
from shared.broker import Broker
from shared.database import Database
from shared.dispatch_store import DispatchStore
from shared.ids import new_id
from shared.job_store import JobStore
from shared.lease_store import LeaseStore
from shared.settings import Settings
from tests.integration.test_janitor import DAYS_KEPT, finished, ids
from tests.support.make import open_lease, submitted
from tests.support.s3_server import BUCKET, s3_server

LONG_AGO = "00000000-0000-7000-8000-{:012d}"  # ids of jobs of 1970
PAGE = 5


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_sweep, "PAGE", PAGE)


@pytest.fixture(params=["folder", "bucket"])
def stored(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with either kind of store."""
    if request.param == "folder":
        yield settings
        return
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield replace(settings, artifacts_url=f"s3://{BUCKET}/prefix")


@pytest.fixture
def janitor(stored: Settings, dispatch: DispatchStore, leases: LeaseStore, broker: Broker) -> Janitor:
    """One with the default retention."""
    return Janitor(stored, dispatch, leases, broker)


@pytest.fixture
def artifacts(stored: Settings) -> Artifacts:
    """The store that it keeps house in."""
    return Artifacts(stored)


async def test_files_go_with_their_jobs(janitor: Janitor, artifacts: Artifacts, database: Database, jobs: JobStore) -> None:
    """All files of a job that is forgotten go in the same round; those of younger, waiting and new jobs stay."""
    gone = await finished(database, "COMPLETED", DAYS_KEPT + 1)
    young = await finished(database, "COMPLETED", DAYS_KEPT - 1)
    late = await finished(database, "COMPLETED", DAYS_KEPT + 5)
    await database.fetch("UPDATE jobs SET finished_at = now() WHERE id = $1", late)
    fresh = await submitted(jobs)
    for job_id in (gone, young, late, fresh):
        for name in ("a", "b"):
            await artifacts.put_async(job_id, name, b"x")
    await janitor.step()
    assert await ids(database) == {young, late, fresh}
    assert await artifacts.list_async(gone) == []
    for job_id in (young, late, fresh):
        assert len(await artifacts.list_async(job_id)) == 2


async def test_a_round_is_bound_and_the_next_goes_on(janitor: Janitor, artifacts: Artifacts, database: Database) -> None:
    """Five jobs a round, past those that are still there, and from the start again in the end."""
    lost = [LONG_AGO.format(number) for number in range(12)]
    kept = lost[2]
    await database.fetch("INSERT INTO jobs (id, type) VALUES ($1, 'waits')", kept)
    for job_id in lost:
        await artifacts.put_async(job_id, "a", b"x")
    counts = []
    for _ in range(4):
        await janitor.step()
        counts.append(len([job_id for job_id in lost if await artifacts.list_async(job_id)]))
    assert counts == [8, 3, 1, 1]
    await database.fetch("DELETE FROM jobs")
    await janitor.step()
    assert await artifacts.list_async(kept) == []


async def test_young_files_without_a_job_are_left_alone(janitor: Janitor, artifacts: Artifacts) -> None:
    """Whoever points a consumer at the wrong database loses no file of the last weeks."""
    job_id = new_id()
    await artifacts.put_async(job_id, "a", b"x")
    await janitor.step()
    assert len(await artifacts.list_async(job_id)) == 1


async def test_what_a_killed_attempt_left_goes_too(settings: Settings, dispatch: DispatchStore) -> None:
    """An unfinished file is no artifact, and no list shows it; it goes with the folder. What is named like no job stays."""
    folder = settings.output_dir / "artifacts"
    (folder / LONG_AGO.format(1)).mkdir(parents=True)
    (folder / LONG_AGO.format(1) / "report.pdf#1").write_bytes(b"half")
    (folder / "0-notes").mkdir()
    await ArtifactSweep(Artifacts(settings).store, dispatch, 60.0).step()
    assert [path.name for path in folder.iterdir()] == ["0-notes"]


async def test_an_outage_holds_up_nothing_else(
    settings: Settings, dispatch: DispatchStore, leases: LeaseStore, broker: Broker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the bucket is away jobs are forgotten, sums folded, dead leases dropped; when it is back the files follow."""
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        there = replace(settings, artifacts_url=f"s3://{BUCKET}/prefix")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
        janitor = Janitor(there, dispatch, leases, broker)
        gone = await finished(database, "COMPLETED", DAYS_KEPT + 1)
        dead = await open_lease(leases, settings)
        await database.fetch("UPDATE leases SET dead_at = now() - interval '2 hours' WHERE id = $1", dead.id)
        await janitor.step()
        assert await ids(database) == set()
        assert await database.fetch("SELECT FROM leases") == []
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        artifacts = Artifacts(there)
        await artifacts.put_async(gone, "a", b"x")
        await Janitor(there, dispatch, leases, broker).step()
        assert await artifacts.list_async(gone) == []


async def test_a_folder_that_cannot_be_read(settings: Settings, dispatch: DispatchStore, tmp_path: Path) -> None:
    """It is an outage like another: the round ends without an error, and the next one works."""
    (settings.output_dir).mkdir()
    (settings.output_dir / "artifacts").write_text("in the way")
    sweep = ArtifactSweep(Artifacts(settings).store, dispatch, 60.0)
    await sweep.step()
    (settings.output_dir / "artifacts").rename(tmp_path / "aside")
    artifacts, job_id = Artifacts(settings), LONG_AGO.format(7)
    await artifacts.put_async(job_id, "a", b"x")
    await sweep.step()
    assert await artifacts.list_async(job_id) == []
