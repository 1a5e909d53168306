"""The job of a schedule: what was put is what each run gets."""

from typing import Any

import pytest
from msgspec import Raw

from shared.ids import new_id
from shared.job_template import job_from, shown, template_of
from shared.models import NewJob

FULL: dict[str, Any] = {
    "type": "t",
    "payload": Raw(b'{"b" :  1.50, "a": "\\u00fc"}'),
    "queue": "q",
    "priority": "low",
    "max_attempts": 3,
    "backoff": Raw(b'{"kind":"fixed"}'),
    "timeout": 1.5,
    "expires_in": 60.0,
    "tags": ["x"],
}


@pytest.mark.parametrize("fields", [FULL, {"type": "t", "payload": Raw(b"{}")}], ids=["every field", "the least"])
def test_a_template_makes_the_same_job_each_time(fields: dict[str, Any]) -> None:
    """All but the id, byte by byte; what makes a job a single one is left out."""
    job = NewJob(id=new_id(), idempotency_key="k", fingerprint=b"f", delay=5.0, **fields)
    first, second = job_from(template_of(job)), job_from(template_of(job))
    assert first == NewJob(id=first.id, **fields)
    assert second == NewJob(id=second.id, **fields)
    assert len({job.id, first.id, second.id}) == 3


def test_a_template_is_json_that_people_can_read() -> None:
    """What is not set is not there, and JSON in it is JSON."""
    template = template_of(NewJob(id=new_id(), type="t", payload=Raw(b'{"a": 1}')))
    assert template == b'{"type":"t","payload":{"a": 1},"queue":"default","priority":"normal","max_attempts":4}'
    assert shown(template).keys() == {"type", "payload", "queue", "priority", "max_attempts"}


def test_a_field_of_a_newer_version_is_left_out() -> None:
    """An older consumer makes the job without it."""
    assert job_from(b'{"type": "t", "payload": {}, "news": 1}').type == "t"
