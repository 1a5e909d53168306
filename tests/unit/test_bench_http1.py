"""The load generator's HTTP: responses are counted right however they arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.http1 import MAX_HEAD_BYTES, ProtocolError, Response, ResponseReader, Target

ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\nServer: x\r\n\r\n{"id":"a"}'[:-1]
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length:0\r\n\r\n"
STREAM = ACCEPTED + UNAVAILABLE + EMPTY + ACCEPTED
EXPECTED = [Response(202, b'{"id":"a"'), Response(503, b""), Response(204, b""), Response(202, b'{"id":"a"')]


@given(st.sets(st.integers(0, len(STREAM))))
def test_responses_are_found_wherever_the_stream_is_cut(cuts: set[int]) -> None:
    """One piece, one byte at a time, or anything between: the same responses in the same order."""
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = ResponseReader()
    found = [response for start, end in pairwise(edges) for response in reader.feed(STREAM[start:end])]
    assert found == EXPECTED


def test_a_response_counts_only_when_its_body_is_complete() -> None:
    """Nothing is counted early."""
    reader = ResponseReader()
    assert reader.feed(ACCEPTED[:-1]) == []
    assert reader.feed(ACCEPTED[-1:]) == EXPECTED[:1]


def test_only_2xx_is_ok() -> None:
    """A 503 in time is still no accepted job."""
    assert [response.ok for response in EXPECTED] == [True, False, True, True]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_what_cannot_be_counted_is_refused(data: bytes) -> None:
    """Chunks, a bad length, another protocol, a head without an end."""
    with pytest.raises(ProtocolError):
        ResponseReader().feed(data)


def test_a_request_is_made_once_as_bytes() -> None:
    """The bytes name host, length and type, and end with the body."""
    target = Target.parse("http://127.0.0.1:3000/jobs")
    head, _, body = target.post(b"{}").partition(b"\r\n\r\n")
    assert (target.host, target.port, body) == ("127.0.0.1", 3000, b"{}")
    assert head.split(b"\r\n") == [
        b"POST /jobs HTTP/1.1",
        b"Host: 127.0.0.1:3000",
        b"Content-Type: application/json",
        b"Content-Length: 2",
    ]


@pytest.mark.parametrize("url", ["https://127.0.0.1/jobs", "127.0.0.1:3000", "http:///jobs"])
def test_a_target_is_plain_http(url: str) -> None:
    """Anything else is refused at the start, not counted as errors later."""
    with pytest.raises(ValueError, match="must be http"):
        Target.parse(url)
