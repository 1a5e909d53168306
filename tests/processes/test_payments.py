"""The payment of docs/safe-effects.md, with consumers that are killed around it and a provider that charges as often as it is asked."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.support import payments
from tests.support.eventually import eventually
from tests.support.payment_provider import Provider, providing
from tests.support.stack import Stack

DOCUMENT = Path(__file__).parents[2] / "docs" / "safe-effects.md"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A provider that nobody was charged by."""
    async with providing() as running:
        yield running


@pytest.fixture
async def stack(settings: Settings, tmp_path: Path) -> AsyncIterator[Stack]:
    """Consumers that know the payments."""
    running = Stack(replace(settings, handlers=(payments.__name__,)), tmp_path)
    await running.prepare()
    yield running
    await running.close()


def test_the_document_shows_this_code() -> None:
    """What readers copy is what is tested here."""
    shown = "\n".join(part.partition("```")[0] for part in DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1:])
    source = Path(payments.__file__).read_text(encoding="utf-8")
    for part in source.split("\n\n\n")[1:]:
        assert part.strip() in shown


async def ends(stack: Stack, job_id: str, within: float = 20.0) -> dict[str, Any]:
    """Wait until the job is over, and return it as the API shows it."""
    await eventually(lambda: stack.count(f"id = '{job_id}' AND finished_at IS NOT NULL"), within, "the end of the job")
    job: dict[str, Any] = await stack.get(f"/jobs/{job_id}")
    return job


async def pay(stack: Stack, provider: Provider, kind: str = "payment", **fields: Any) -> str:
    """Submit a payment."""
    return await stack.submit(kind, payload={"provider": provider.url, "cents": 995}, **fields)


async def test_killed_between_charge_and_record(stack: Stack, provider: Provider) -> None:
    """SIGKILL after the provider has charged: the second attempt says that it is uncertain, nobody is charged again, a person decides."""
    await stack.producer()
    victim = await stack.consumer(probes="effect_recording=kill")
    job_id = await pay(stack, provider)
    assert await victim.ended() == -9
    await stack.consumer()
    job = await ends(stack, job_id)
    assert (job["status"], job["reason"], job["attempts"]) == ("FAILED", "uncertain_effect", 2)
    assert "whether 'charge' happened is not known: attempt 1 began it" in job["error"]
    assert provider.charges == {job_id: 1}

    await stack.post(f"/jobs/{job_id}/retry", {}, expect=202)
    assert (await ends(stack, job_id))["reason"] == "uncertain_effect"
    await stack.post(f"/jobs/{job_id}/effects", {"key": "charge", "happened": True, "result": {"id": "r-1"}}, expect=200)
    await stack.post(f"/jobs/{job_id}/retry", {}, expect=202)
    job = await ends(stack, job_id)
    assert (job["status"], job["result"], provider.charges) == ("COMPLETED", {"receipt": "r-1"}, {job_id: 1})
    await stack.check_promise()


async def test_killed_between_charge_and_record_with_a_check(stack: Stack, provider: Provider) -> None:
    """The same, but the handler can ask the provider: completed by the second attempt, charged once."""
    await stack.producer()
    victim = await stack.consumer(probes="effect_recording=kill")
    job_id = await pay(stack, provider, "payment.checked")
    assert await victim.ended() == -9
    await stack.consumer()
    job = await ends(stack, job_id)
    assert (job["status"], job["attempts"], job["result"]) == ("COMPLETED", 2, {"receipt": f"r-{job_id[-4:]}-1"})
    assert provider.charges == {job_id: 1}
    await stack.check_promise()


async def test_killed_between_reservation_and_charge(stack: Stack, provider: Provider) -> None:
    """SIGKILL before the provider was asked: uncertain as well, for nobody here can tell; who asks the provider learns it and charges."""
    await stack.producer()
    job_ids = []
    for kind in ("payment", "payment.checked"):
        victim = await stack.consumer(probes="effect_reserved=kill")
        job_ids.append(await pay(stack, provider, kind, max_attempts=2))
        assert await victim.ended() == -9
    assert provider.charges == {}
    await stack.consumer()
    blind, checked = [await ends(stack, job_id) for job_id in job_ids]
    assert (blind["status"], blind["reason"]) == ("FAILED", "uncertain_effect")
    assert (checked["status"], provider.charges) == ("COMPLETED", {checked["id"]: 1})
    await stack.check_promise()


async def test_killed_after_the_record(stack: Stack, provider: Provider) -> None:
    """SIGKILL when all is recorded but the job: the next attempt takes the receipt that is there."""
    await stack.producer()
    victim = await stack.consumer(probes="settling=kill")
    job_id = await pay(stack, provider)
    assert await victim.ended() == -9
    await stack.consumer()
    job = await ends(stack, job_id)
    assert (job["status"], job["attempts"], provider.charges) == ("COMPLETED", 2, {job_id: 1})
    await stack.check_promise()


async def test_a_provider_that_charges_and_does_not_answer(stack: Stack, provider: Provider) -> None:
    """The time limit ends the first attempt in the middle: charged once, with and without a check."""
    provider.is_mute = True
    await stack.up()
    blind, checked = await pay(stack, provider, timeout=1), await pay(stack, provider, "payment.checked", timeout=1)
    await eventually(lambda: len(provider.charges) == 2, what="the charges")
    assert (await ends(stack, blind))["reason"] == "uncertain_effect"
    assert (await ends(stack, checked))["status"] == "COMPLETED"
    assert provider.charges == {blind: 1, checked: 1}
    await stack.check_promise()


async def test_a_card_that_is_declined(stack: Stack, provider: Provider) -> None:
    """An answer is an answer: dead at once, with nothing uncertain about it; a retry by a person asks the provider again."""
    provider.declines = True
    await stack.up()
    job_id = await pay(stack, provider)
    job = await ends(stack, job_id)
    assert (job["reason"], job["attempts"]) == ("permanent_failure", 1)
    provider.declines = False
    await stack.post(f"/jobs/{job_id}/retry", {}, expect=202)
    assert (await ends(stack, job_id))["status"] == "COMPLETED"
    assert provider.charges == {job_id: 1}
