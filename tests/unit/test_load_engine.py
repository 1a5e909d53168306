"""The load test's clients against servers that behave in every way."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import pytest

from loadtest.load.engine import Engine
from loadtest.load.meter import Meter
from loadtest.load.options import parse
from shared.ids import new_id
from tests.support.http_server import HttpServer, answer, http_server


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    """A server that the test gives its answers."""
    async with http_server() as running:
        yield running


def accepted(*headers: str) -> bytes:
    """Return the answer to a job that was accepted."""
    return answer(f'{{"id":"{new_id()}","type":"a"}}'.encode(), *headers, status=202)


async def run(server: HttpServer, *words: str) -> Meter:
    """Put load on the server to the end."""
    options = parse([server.url, *words], {})
    meter = Meter(open_loop=options.rate is not None)
    engine = Engine(options, meter)
    await engine.connect()
    async with asyncio.timeout(20):
        await engine.run()
    return meter


async def silence(_: asyncio.StreamWriter) -> None:
    """Never answer."""


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection instead of an answer."""
    writer.close()


async def test_a_server_that_closes_is_met_again(server: HttpServer) -> None:
    """`Connection: close` is obeyed: each request gets a connection and an answer."""
    server.replies["/jobs"] = [accepted("Connection: close") for _ in range(6)]
    meter = await run(server, "--count", "6", "--concurrency", "2")
    assert (meter.answered_requests, meter.failed_requests, meter.accepted.count) == (6, 0, 6)
    assert server.connection_count == 6


async def test_one_connection_carries_many_requests(server: HttpServer) -> None:
    """Unless it was asked to be otherwise."""
    server.replies["/jobs"] = [accepted() for _ in range(12)]
    await run(server, "--count", "6", "--concurrency", "2")
    assert server.connection_count == 2
    await run(server, "--count", "6", "--concurrency", "2", "--no-keep-alive")
    assert server.connection_count == 2 + 6


async def test_a_client_of_a_closed_loop_waits_as_it_is_asked_to(server: HttpServer) -> None:
    """Retry-After is for it; the time until then is no latency."""
    server.replies["/jobs"] = [answer(b"full", "Retry-After: 1", status=429), accepted()]
    began = perf_counter()
    meter = await run(server, "--count", "2", "--concurrency", "1")
    assert perf_counter() - began >= 1
    assert (meter.errors, meter.examples) == ({"HTTP 429": 1}, {"HTTP 429": "full"})
    assert meter.latency.longest < 1


async def test_an_open_loop_keeps_its_rate_whatever_it_is_asked(server: HttpServer) -> None:
    """Requests are due when they are due."""
    server.replies["/jobs"] = answer(b"full", "Retry-After: 5", status=503)
    began = perf_counter()
    meter = await run(server, "--count", "20", "--rate", "100", "--concurrency", "1")
    assert perf_counter() - began < 5
    assert meter.errors == {"HTTP 503": 20}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (silence, "timeout"),
        (hang_up, "connection lost"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (answer(b"<html>", status=200), "HTTP 200 without ids"),
        (answer(b'{"ids": []}', status=202), "HTTP 202 with another number of ids"),
        (answer(b"[]", status=202), "HTTP 202 without ids"),
    ],
)
async def test_whatever_is_no_acceptance_is_an_error_of_its_kind(server: HttpServer, reply: bytes, kind: str) -> None:
    """And the next request gets through."""
    server.replies["/jobs"] = [reply, accepted()]
    meter = await run(server, "--count", "2", "--concurrency", "1", "--timeout", "0.3")
    assert (meter.errors, meter.accepted.count) == ({kind: 1}, 1)


async def test_a_server_that_is_gone_is_an_error_for_each_request(server: HttpServer) -> None:
    """Not a traceback, and not a busy loop: the client waits before it tries again."""
    options = parse([server.url, "--duration", "0.8", "--concurrency", "3"], {})
    meter = Meter(open_loop=False)
    engine = Engine(options, meter)
    await server.stop()
    await engine.run()
    assert meter.errors.keys() == {"no connection: Connection refused"}
    assert 3 <= meter.errors.total() <= 6
