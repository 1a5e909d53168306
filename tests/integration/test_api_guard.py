"""Keys: who may call, and what stays open."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.broker import Broker
from shared.settings import Settings
from tests.support.producer import Api, client, running

KEYS = ("first-key", "zweiter-schlüssel")


@pytest.fixture
async def guarded(settings: Settings, broker: Broker, catalog: None) -> AsyncIterator[Api]:
    """A producer that wants a key."""
    del broker, catalog
    locked = replace(settings, api_keys=KEYS)
    async with running(locked), client(locked) as api:
        yield api


async def test_each_key_opens_every_door(guarded: Api) -> None:
    """As bearer token, in any case of the word, or as X-API-Key."""
    for key in KEYS:
        for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key}"}, {"X-API-Key": key}):
            assert (await guarded.post("/jobs", {"type": "test.noop"}, headers=headers)).status == 202
            assert (await guarded.get("/jobs", headers=headers)).status == 200


async def test_without_a_key_all_doors_are_shut(guarded: Api) -> None:
    """401 that says what to send, also where there is no door."""
    posts = ("/jobs", "/jobs/bulk", "/jobs/x/cancel")
    gets = ("/jobs", "/api/v1/jobs", "/metrics", "/jobs/stats", "/nothing", "/livez/")
    for method, path in (*(("POST", path) for path in posts), *(("GET", path) for path in gets)):
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic Zmlyc3Qta2V5"}, {"X-API-Key": " "}):
            answer = await guarded.call(method, path, headers=headers)
            assert "Authorization: Bearer" in answer.problem(401)["detail"]
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_wrong_key_is_forbidden(guarded: Api) -> None:
    """403, whatever it is made of."""
    for key in ("wrong", "first-key2", "first-ke", "FIRST-KEY", "first-key,zweiter-schlüssel", "\u00ff", "x" * 5000):
        (await guarded.get("/jobs", headers={"Authorization": f"Bearer {key}"})).problem(403)


async def test_probes_stay_open(guarded: Api) -> None:
    """Whoever watches over the process has no key."""
    answers = await asyncio.gather(*(guarded.get(path) for path in ("/livez", "/readyz", "/api/v1/livez", "/api/v1/readyz")))
    assert {answer.status for answer in answers} == {200}
