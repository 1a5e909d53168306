"""Whatever comes in: an answer below 500, and what is accepted comes back as it was."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.producer import Api

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([10**400, -(10**40), 2**63, 2**64, 0.1, -0.0])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        "type",
        "payload",
        "queue",
        "priority",
        "idempotency_key",
        "delay",
        "run_at",
        "max_attempts",
        "backoff",
        "timeout",
        "expires_in",
        "tags",
        "x",
    ]
)
TIMES = st.datetimes().map(lambda moment: moment.isoformat()) | st.datetimes(timezones=st.timezones()).map(
    lambda moment: moment.isoformat()
)
LIKELY = st.sampled_from(
    ["test.noop", "email.send", "high", "default", "k", 1, 0.5, [], ["a"], {}, {"kind": "fixed"}, {"kind": "exponential"}]
)
BODIES = VALUES | st.dictionaries(FIELDS, LIKELY | TIMES | VALUES).map(lambda fields: {"type": "test.noop"} | fields)


@QUICK
@given(body=BODIES)
async def test_any_json_gets_an_answer(api: Api, body: Any) -> None:
    """202, 200 or a problem document; bulk alike."""
    for path, sent in (("/jobs", body), ("/jobs/bulk", body), ("/jobs/bulk", [body, {"type": "test.noop"}])):
        answer = await api.post(path, _encoded(sent))
        assert answer.status in {200, 202} or answer.problem(answer.status)
        assert answer.status < 500, answer


@QUICK
@given(body=st.binary(max_size=200))
async def test_any_bytes_get_an_answer(api: Api, body: bytes) -> None:
    """As a body, and as a payload within one."""
    for sent in (body, b'{"type": "test.noop", "payload": {"a": ' + body + b"}}"):
        assert (await api.post("/jobs", sent)).status < 500
        assert (await api.post("/jobs/bulk", sent, headers={"Content-Type": "application/x-ndjson"})).status < 500


@QUICK
@given(payload=st.dictionaries(TEXT, VALUES, max_size=5))
async def test_what_is_accepted_comes_back(api: Api, payload: dict[str, Any]) -> None:
    """Any object, to the last digit."""
    answer = await api.post("/jobs", _encoded({"type": "test.noop", "payload": payload}))
    assert answer.status == 202 or "\\u0000" in json.dumps(payload)
    if answer.status == 202:
        assert (await api.job(answer.json["id"]))["payload"] == payload


@QUICK
@given(
    query=st.dictionaries(
        st.sampled_from(["status", "type", "queue", "priority", "tag", "q", "created_after", "created_before", "limit", "cursor"]),
        TEXT | TIMES,
    )
)
async def test_any_filter_gets_an_answer(api: Api, query: dict[str, str]) -> None:
    """A list or a problem document."""
    for path in ("/jobs", "/jobs/dead"):
        answer = await api.get(path, params=query)
        assert answer.status == 200 or answer.problem(answer.status)
        assert answer.status < 500


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
