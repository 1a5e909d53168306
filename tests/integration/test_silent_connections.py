"""Connections that say nothing, or never come to an end, are closed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from producer.app import Producer
from shared import probe
from shared.database import Database
from shared.settings import Settings
from tests.support.eventually import eventually

SHORT_SECONDS = 0.4
HEAD = b"POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"


@pytest.fixture
async def address(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, int]]:
    """Where a producer listens whose limits are short."""
    monkeypatch.setattr("producer.app.KEEPALIVE_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr("producer.app.MOST_CONNECTIONS", 5)
    monkeypatch.setattr("producer.body.BODY_SECONDS", SHORT_SECONDS)
    await database.fetch("INSERT INTO job_types (type, schema) VALUES ('t', $1)", b'{"type":"object"}')
    producer = Producer(settings)
    running = asyncio.create_task(producer.run())
    await eventually(lambda: _answers(settings.host, settings.port), what="a producer that listens")
    yield settings.host, settings.port
    producer.stop()
    await running


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def said_until_closed(address: tuple[str, int], *words: bytes) -> bytes:
    """Say these words, then nothing; return what the server said before it hung up."""
    reader, writer = await asyncio.open_connection(*address)
    for word in words:
        writer.write(word)
        await writer.drain()
    try:
        async with asyncio.timeout(SHORT_SECONDS + 5):
            return await reader.read()
    finally:
        writer.close()


async def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    """Otherwise each would be held for ever."""
    assert await said_until_closed(address) == b""


async def test_a_request_whose_headers_do_not_end_is_closed(address: tuple[str, int]) -> None:
    """The slow loris: one header after another, never the last."""
    assert await said_until_closed(address, HEAD) == b""


async def test_a_body_that_does_not_come_is_given_up(address: tuple[str, int]) -> None:
    """408 after its time limit; aiohttp then lingers for some seconds over what is still to come, and closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"\r\n" + b'{"type"')
    async with asyncio.timeout(SHORT_SECONDS + 5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_a_kept_connection_is_closed_when_it_falls_silent(address: tuple[str, int]) -> None:
    """Answered first, closed later."""
    answer = await said_until_closed(address, b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


async def test_connections_are_bounded(address: tuple[str, int]) -> None:
    """One more than allowed is closed at once; when others leave, there is room again."""
    open_ones = [await asyncio.open_connection(*address) for _ in range(5)]
    for _, writer in open_ones:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
    for reader, _ in open_ones:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await said_until_closed(address, b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n") == b""
    for _, writer in open_ones:
        writer.close()

    async def room() -> bool:
        return (await said_until_closed(address, b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")).startswith(
            b"HTTP/1.1 200"
        )

    await eventually(room)


async def test_a_client_that_hangs_up_costs_no_job(address: tuple[str, int], database: Database) -> None:
    """The handler runs on after a disconnect: what it has begun to store is stored, whether anybody hears of it or not."""
    body = b'{"type":"t"}'
    _, writer = await asyncio.open_connection(*address)
    with probe.on("inserting", lambda _: writer.transport.abort()):
        writer.write(HEAD.replace(b"100", str(len(body)).encode()) + b"\r\n" + body)

        async def stored() -> bool:
            return bool(await database.fetch_value("SELECT count(*) = 1 FROM jobs"))

        await eventually(stored)
    assert writer.transport.is_closing()
