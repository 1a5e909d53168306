"""`notification.send` against real servers on loopback: who gets it, who does not and why, and that no secret is told."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from consumer.handlers.notification_send import NotSentError
from consumer.notifying.label import label
from consumer.sandbox.sandbox import Sandbox
from shared.errors import PermanentFailure
from shared.settings import Settings
from tests.support.handler_context import HandlerContext, run_handler
from tests.support.http_server import HttpServer, answer, http_server, redirect
from tests.support.mail_server import mail_server

SECRETS = ("tok3n-in-path", "hunter2", "s3cret-query", "s3cret-header")
TARGET = "json://ann:hunter2@{place}/tok3n-in-path?:key=s3cret-query&+X-Auth=s3cret-header"


@pytest.fixture
async def hook() -> AsyncIterator[HttpServer]:
    async with http_server() as running:
        for path in ("/", "/a", "/b", "/c", "/tok3n-in-path"):
            running.replies[path] = answer(b"ok")
        yield running


def resources(*allow: str) -> dict[str, Any]:
    return {"settings": Settings(outgoing_allow=allow), "sending_sandbox": Sandbox()}


async def notify(allow: tuple[str, ...], *urls: str, context: Any = None, **payload: Any) -> dict[str, Any]:
    context = context or HandlerContext(resources=resources(*allow))
    result: dict[str, Any] = await run_handler("notification.send", {"urls": urls, "body": "Hello"} | payload, context)
    return result


async def test_a_message_arrives(hook: HttpServer) -> None:
    """Title and body reach the target; the result shows where, without what may be secret."""
    result = await notify((hook.place,), TARGET.format(place=hook.place), title="Grüße", body="How\nare you? 東京")
    assert result == {"targets": [{"target": f"json://{hook.place}/***", "status": "sent"}]}
    [seen] = hook.seen
    assert (seen.method, seen.headers["authorization"], seen.headers["x-auth"]) == ("POST", "Basic YW5uOmh1bnRlcjI=", "s3cret-header")
    sent = json.loads(seen.body)
    assert (sent["title"], sent["message"]) == ("Grüße", "How\nare you? 東京")


async def test_loopback_is_refused_unless_allowed(hook: HttpServer) -> None:
    """The guard of all outgoing traffic holds for what Apprise connects to: addresses, names, spellings."""
    for host in ("127.0.0.1", "localhost", "0x7f000001", "2130706433"):
        with pytest.raises(PermanentFailure, match="not a public address"):
            await notify((), f"json://{host}:{hook.port}/")
    with pytest.raises(PermanentFailure, match="not a public address"):
        await notify((), "json://169.254.169.254/latest/")
    with pytest.raises(PermanentFailure, match="port 22 is not for"):
        await notify(("127.0.0.1",), "json://127.0.0.1:22/")
    assert hook.connection_count == 0


async def test_a_redirect_to_a_private_address(hook: HttpServer) -> None:
    """A target cannot send us on to where we must not go."""
    async with http_server("127.0.0.2") as secret:
        hook.replies["/a"] = redirect(f"{secret.url}/", 307)
        with pytest.raises(PermanentFailure, match=r"127\.0\.0\.2"):
            await notify((hook.place,), f"json://{hook.place}/a")
        assert secret.connection_count == 0


async def test_proxies_of_the_environment_are_not_used(hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would connect in our place."""
    async with http_server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await notify((hook.place, proxy.place), f"json://{hook.place}/")
        assert (hook.connection_count, proxy.connection_count) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        *["syslog://", "dbus://", "gnome://", "kde://", "glib://", "macosx://", "windows://", "blink1://", "growl://127.0.0.1"],
        *[
            "rsyslog://127.0.0.1",
            "mqtt://127.0.0.1/topic",
            "irc://user@127.0.0.1/channel",
            "amqp://127.0.0.1/queue",
            "xmpp://a:b@127.0.0.1",
        ],
        *["smpp://a:b@127.0.0.1:2775/1/2", "file:///etc/passwd", "http://127.0.0.1/", "nonsense", "json://", "://", "slack://hunter2"],
    ],
)
async def test_targets_that_are_none(hook: HttpServer, url: str) -> None:
    """Services of this machine, other protocols and nonsense fail for good, and keep the message from the others, too."""
    with pytest.raises(PermanentFailure, match=r"2\. ") as caught:
        await notify(("127.0.0.0/8", hook.place), f"json://{hook.place}/a", url)
    assert "hunter2" not in str(caught.value)
    assert hook.connection_count == 0


async def test_mail_is_decided_by_the_allow_list() -> None:
    """A mail server is reached when the operator names it with its port, and not otherwise."""
    async with mail_server() as server:
        url = f"mailto://127.0.0.1:{server.port}/?from=shop@example.org&to=ann@example.org&mode=insecure"
        with pytest.raises(PermanentFailure, match="not a public address"):
            await notify((), url)
        with pytest.raises(PermanentFailure, match="port 25 is not for"):
            await notify(("127.0.0.0/8",), url.replace(f":{server.port}", ":25"))
        assert (await notify((f"127.0.0.1:{server.port}",), url))["targets"][0]["status"] == "sent"
        assert server.envelopes[0].rcpt_tos == ["ann@example.org"]


async def test_one_of_three_fails(hook: HttpServer) -> None:
    """The job fails with the one that did not take it; the next attempt sends to that one alone, and then all have it."""
    context = RememberingContext(resources=resources(hook.place))
    urls = [f"json://{hook.place}/{name}" for name in "abc"]
    hook.replies["/b"] = [answer(b"", status=500), answer(b"ok")]
    with pytest.raises(NotSentError, match=r"1 of 3 targets .*: 2\. json://127.*error=500"):
        await notify((), *urls, context=context)
    assert sorted(context.checkpoint_data) == [0, 2]
    result = await notify((), *urls, context=context)
    assert [target["status"] for target in result["targets"]] == ["sent"] * 3
    assert sorted(hook.paths) == ["/a", "/b", "/b", "/c"]


async def test_nothing_left_to_send(hook: HttpServer) -> None:
    """An attempt after all were reached, but whose outcome was lost, sends nothing and succeeds."""
    context = RememberingContext(resources=resources(hook.place))
    context.checkpoint_data = [0]
    assert (await notify((), f"json://{hook.place}/a", context=context))["targets"][0]["status"] == "sent"
    assert hook.connection_count == 0


async def test_a_forbidden_one_waits_for_the_others(hook: HttpServer) -> None:
    """While another target may yet take it the job is tried again; then it fails for good."""
    context = RememberingContext(resources=resources(hook.place))
    urls = [f"json://{hook.place}/a", "json://10.0.0.1/"]
    hook.replies["/a"] = [answer(b"", status=503), answer(b"ok")]
    with pytest.raises(NotSentError, match="2 of 2"):
        await notify((), *urls, context=context)
    with pytest.raises(PermanentFailure, match="1 of 2"):
        await notify((), *urls, context=context)


async def test_no_secret_is_told(hook: HttpServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither result nor error nor log holds a part of a URL that may be a secret, whatever goes wrong."""
    place = hook.place
    hook.replies["/tok3n-in-path"] = [answer(b"tok3n-in-path hunter2", status=500), redirect("/hunter2/s3cret-query", 307), b"nonsense"]
    told = []
    for allow in ((place,), (place,), (place,), ()):
        with pytest.raises((NotSentError, PermanentFailure)) as caught:
            await notify(allow, TARGET.format(place=place))
        told.append(str(caught.value))
    with pytest.raises(NotSentError) as caught:
        await notify(("127.0.0.1",), TARGET.format(place=f"127.0.0.1:{unused_port()}"), "gotify://127.0.0.1:1024/tok3n-in-path")
    told.append(str(caught.value))
    written = capsys.readouterr()
    for secret in SECRETS:
        assert secret not in "".join([*told, written.out, written.err])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("json://user:pass@host.example:8080/a?b=c", "json://host.example:8080/***"),
        ("XMLS://host.example/a", "XMLS://host.example/***"),
        ("slack://TokenA/TokenB/TokenC", "slack://***"),
        ("tgram://123:abc/456", "tgram://***"),
        ("form://[half", "form://***"),
        ("json://host:port/", "json://***"),
        ("https://hooks.example/secret", "https://***"),
        ("no url but a secret", "***"),
        ("s3cret token://x", "***"),
    ],
)
def test_how_a_target_is_shown(url: str, shown: str) -> None:
    """By scheme, and by host where that is surely a host."""
    assert label(url) == shown


async def test_a_slow_target_is_cut_off(hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that never ends its answer does not hold up the others, and is the only one that is tried again."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    monkeypatch.setattr("consumer.handlers.notification_send.SEND_SECONDS", 3.0)
    hook.replies["/b"] = drip
    context = RememberingContext(resources=resources(hook.place))
    with pytest.raises(NotSentError, match=r"1 of 2 targets .*: 2\. .*no answer"):
        await notify((), f"json://{hook.place}/a", f"json://{hook.place}/b", context=context)
    assert context.checkpoint_data == [0]


async def test_an_endless_answer(hook: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that answers without end costs bounded memory, in a process that is not the consumer."""

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(1_000_000))
            await writer.drain()

    monkeypatch.setattr("consumer.handlers.notification_send.SEND_BYTES", 200_000_000)
    hook.replies["/a"] = flood
    with pytest.raises(NotSentError):
        await notify((hook.place,), f"json://{hook.place}/a")


@pytest.mark.parametrize(
    "payload",
    [
        {"urls": []},
        {"urls": ["json://x"] * 21},
        {"urls": [""]},
        {"urls": ["json://" + "x" * 1994]},
        {"body": ""},
        {"body": "x" * 32_769},
        {"title": "x" * 501},
        {"attach": "/etc/passwd"},
        {"urls": "json://x"},
    ],
    ids=lambda payload: str(payload)[:40],
)
async def test_a_payload_beyond_the_limits(payload: dict[str, Any]) -> None:
    """The API refuses it, and so does the worker."""
    with pytest.raises(msgspec.ValidationError):
        await notify((), **{"urls": ["json://x"]} | payload)


async def test_a_payload_at_the_limits(hook: HttpServer) -> None:
    """Twenty targets get the longest title and body."""
    url = f"json://{hook.place}/?:k=".ljust(2000, "x")
    hook.replies["/?k=" + "x" * (2000 - len(f"json://{hook.place}/?:k="))] = answer(b"ok")
    result = await notify((hook.place,), *[url] * 20, title="t" * 500, body="b" * 32_768)
    assert [target["status"] for target in result["targets"]] == ["sent"] * 20
    assert len(hook.seen) == 20


class RememberingContext(HandlerContext):
    """A context with the checkpoint that a worker gives."""

    checkpoint_data: Any = None

    async def checkpoint(self, data: Any) -> None:
        """Keep it as JSON does."""
        self.checkpoint_data = json.loads(json.dumps(data))


def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
