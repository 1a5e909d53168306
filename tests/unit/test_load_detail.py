"""What the load test shows of a refusal."""

import orjson

from loadtest.http1 import Response
from loadtest.load.api import detail


def test_a_reason_that_the_detail_tells_already_is_not_said_twice() -> None:
    """The producer's summary names its first reason; only the others follow."""
    errors = [{"pointer": "#/payload/a", "detail": "a is required"}, {"pointer": "#/payload/b", "detail": "b is no number"}]
    body = orjson.dumps({"detail": "the payload is not valid: a is required", "errors": errors})
    assert detail(Response(422, body)) == "the payload is not valid: a is required; #/payload/b b is no number"


def test_what_is_no_problem_document_is_shown_as_it_came() -> None:
    """A proxy in between answers HTML, or nothing."""
    assert detail(Response(502, b"<h1>Bad Gateway</h1>")) == "<h1>Bad Gateway</h1>"
    assert detail(Response(502, b"")) == "no reason was given"
