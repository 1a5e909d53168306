"""The word of a person about an effect whose end nobody knows."""

from typing import Any

import pytest

from shared.database import Database
from shared.effect_store import EffectStore, Owner
from shared.ids import new_id
from shared.job_store import JobStore
from shared.jobs import Context
from shared.lease_store import LeaseStore
from shared.lifecycle import Status
from shared.settings import Settings
from tests.support.consumer import Stage
from tests.support.make import open_lease, running
from tests.support.producer import Api, client
from tests.support.producer import running as serving
from tests.support.shop import Shop, charging, left_behind


@pytest.fixture
async def uncertain(api: Api, jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore) -> str:
    """A dead job whose effect `charge` is uncertain, and another one, `mail`, that is done."""
    del api
    lease = await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    owner = Owner(job_id, attempt, lease.id)
    await effect_store.reserve(owner, "mail")
    await effect_store.record(owner, "mail", b'"sent"')
    await effect_store.reserve(owner, "charge")
    await jobs.bury([(job_id, attempt, "uncertain_effect", "it is not known", "")], lease.id)
    return job_id


async def test_effects_are_shown(api: Api, uncertain: str) -> None:
    """In the order in which they began, with state, attempt, times and result."""
    answer = (await api.get(f"/jobs/{uncertain}/effects")).json
    assert answer["id"] == uncertain
    mail, charge = answer["effects"]
    assert (mail["key"], mail["state"], mail["attempt"], mail["result"]) == ("mail", "done", 1, "sent")
    assert (charge["key"], charge["state"], charge["attempt"], charge["result"]) == ("charge", "uncertain", 1, None)
    assert mail["began_at"] < mail["done_at"] < charge["began_at"]
    assert charge["done_at"] is None
    assert (await api.get(f"/jobs/{await api.submitted()}/effects")).json["effects"] == []


async def test_it_happened(api: Api, uncertain: str) -> None:
    """The effect is done with the result that the person gave; a second word comes too late."""
    verdict = {"key": "charge", "happened": True, "result": {"receipt": "r-17"}}
    answer = await api.post(f"/jobs/{uncertain}/effects", verdict)
    assert (answer.status, answer.json["effects"][1]["state"], answer.json["effects"][1]["result"]) == (200, "done", {"receipt": "r-17"})
    assert "done" in (await api.post(f"/jobs/{uncertain}/effects", verdict)).problem(409)["detail"]
    assert "done" in (await api.post(f"/jobs/{uncertain}/effects", {"key": "mail", "happened": False})).problem(409)["detail"]


async def test_it_did_not_happen(api: Api, uncertain: str) -> None:
    """The effect is gone, so the next attempt runs it."""
    answer = await api.post(f"/jobs/{uncertain}/effects", {"key": "charge", "happened": False})
    assert (answer.status, [effect["key"] for effect in answer.json["effects"]]) == (200, ["mail"])
    (await api.post(f"/jobs/{uncertain}/effects", {"key": "charge", "happened": False})).problem(404)


async def test_nobody_decides_about_a_job_that_runs(
    api: Api, jobs: JobStore, leases: LeaseStore, settings: Settings, effect_store: EffectStore
) -> None:
    """Its attempt may be within the effect, or may be asking the same question."""
    lease = await open_lease(leases, settings)
    job_id, attempt = await running(jobs, lease)
    await effect_store.reserve(Owner(job_id, attempt, lease.id), "charge")
    for happened in (True, False):
        answer = await api.post(f"/jobs/{job_id}/effects", {"key": "charge", "happened": happened})
        assert "running" in answer.problem(409)["detail"]
    [effect] = (await api.get(f"/jobs/{job_id}/effects")).json["effects"]
    assert effect["state"] == "running"


BAD: list[tuple[Any, int]] = [
    (b"{", 400),
    (b"[" * 100_000, 422),
    ({}, 422),
    ({"key": "charge"}, 422),
    ({"happened": True}, 422),
    ({"key": "charge", "happened": "yes"}, 422),
    ({"key": "", "happened": True}, 422),
    ({"key": "k" * 201, "happened": True}, 422),
    ({"key": "k" * 200, "happened": True}, 404),
    ({"key": "a\x00", "happened": True}, 422),
    (b'{"key": "\\ud800", "happened": true}', 400),
    ({"key": "charge", "happened": True, "more": 1}, 422),
    ({"key": "charge", "happened": False, "result": 1}, 422),
    ({"key": "charge", "happened": True, "result": "x" * (64 * 1024 - 1)}, 422),
    (b'{"key": "charge", "happened": true, "result": "\\ud800"}', 400),
    (b'{"key": "charge", "happened": true, "result": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400),
    ({"key": "charge", "happened": True, "result": "x" * (64 * 1024 - 2)}, 200),
]


@pytest.mark.parametrize(("body", "status"), BAD)
async def test_what_may_be_said(api: Api, uncertain: str, body: Any, status: int) -> None:
    """Nonsense is refused with a problem and changes nothing."""
    answer = await api.post(f"/jobs/{uncertain}/effects", body)
    if status != 200:
        answer.problem(status)
    effects = (await api.get(f"/jobs/{uncertain}/effects")).json["effects"]
    assert [effect["state"] for effect in effects] == ["done", "done" if status == 200 else "uncertain"]


async def test_jobs_that_are_not_there(api: Api) -> None:
    """404 for both routes; 415 for something that is not JSON is that of all routes."""
    for job_id in (new_id(), "nonsense"):
        (await api.get(f"/jobs/{job_id}/effects")).problem(404)
        (await api.post(f"/jobs/{job_id}/effects", {"key": "charge", "happened": True})).problem(404)


async def test_a_replay_stays_uncertain_until_told_otherwise(stage: Stage, catalog: None, database: Database) -> None:
    """Retried as it is: dead again, nothing charged. Told that it happened: completed with the person's result. Told that not: charged."""
    del catalog
    shop = Shop()
    seen: list[Any] = []

    def note(ctx: Context) -> None:
        seen.append(ctx.attempt)

    await stage.start({"pay": charging(shop, note)})
    async with serving(stage.settings), client(stage.settings) as api:
        for happened, result in ((True, {"receipt": "r-17"}), (False, {"receipt": 1})):
            job_id = await stage.submit("pay", delay=3600.0)
            await left_behind(stage, job_id)
            await database.fetch("UPDATE jobs SET run_at = now() WHERE id = $1", job_id)
            await stage.broker.undelay([job_id])
            await stage.broker.publish([("normal", job_id)])
            for _ in range(2):
                row = await stage.reaches(job_id, Status.FAILED)
                assert (row["reason"], shop.charges) == ("uncertain_effect", [])
                assert (await api.post(f"/jobs/{job_id}/retry")).status == 202
            await stage.reaches(job_id, Status.FAILED)
            verdict = {"key": "charge", "happened": happened} | ({"result": result} if happened else {})
            assert (await api.post(f"/jobs/{job_id}/effects", verdict)).status == 200
            assert (await api.post(f"/jobs/{job_id}/retry")).status == 202
            assert (await stage.reaches(job_id, Status.COMPLETED))["result"] == result
    assert (shop.charges, seen) == ([1], [5, 5])
