"""The connection on which the load test asks for statistics and pages."""

import asyncio

import pytest

from loadtest.client import Client
from loadtest.http1 import ProtocolError, Target
from tests.support.eventually import eventually
from tests.support.http_server import HttpServer, answer, http_server


async def connected(server: HttpServer) -> Client:
    """Return a client of the server."""
    _, client = await asyncio.get_running_loop().create_connection(Client, server.host, server.port)
    return client


async def test_an_answer_in_the_moment_of_a_cancel_does_not_undo_it() -> None:
    """Who looks at statistics for ever has to end when told so, whatever has just arrived."""
    request = Target("127.0.0.1", 80, "").request("GET", "/")
    async with http_server() as server:
        server.replies["/"] = answer(b"{}")
        client = await connected(server)

        async def for_ever() -> None:
            while True:
                await client.ask(request)

        asking = asyncio.create_task(for_ever())
        await eventually(lambda: client._answer is not None)
        assert client._answer is not None
        client._answer.add_done_callback(lambda _: asking.cancel())
        done, _ = await asyncio.wait((asking,), timeout=5)
        assert done
        assert asking.cancelled()


async def test_a_connection_of_no_more_use_says_so() -> None:
    """Silence, bytes that are no HTTP, and whoever comes after that."""
    request = Target("127.0.0.1", 80, "").request("GET", "/")

    async def silence(_: asyncio.StreamWriter) -> None:
        pass

    async with http_server() as server:
        server.replies["/"] = [silence, b"SSH-2.0-OpenSSH\r\n\r\n"]
        client = await connected(server)
        with pytest.raises(TimeoutError):
            await client.ask(request, timeout=0.05)
        await eventually(lambda: not client.is_open)
        with pytest.raises(ConnectionResetError):
            await client.ask(request)
        with pytest.raises(ProtocolError):
            await (await connected(server)).ask(request, timeout=5)
