"""`email.send` against a real SMTP server on loopback: what arrives, what is refused, how connections are kept."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

import consumer.handlers.email_send  # noqa: F401 - importing registers the handler
from consumer.mailer import Mailer
from shared.errors import ConfigError, PermanentFailure, UnavailableError
from shared.settings import Settings
from tests.support.handler_context import HandlerContext, run_handler
from tests.support.mail_server import MailServer, mail_server

MAIL = {"to": "ann@example.org", "subject": "Hello", "body": "How are you?\n"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


@pytest.fixture
async def mailer(server: MailServer) -> AsyncIterator[Mailer]:
    async with Mailer(server.url, max_connections=2) as opened:
        yield opened


async def send(mailer: Mailer, payload: dict[str, Any], **context: Any) -> dict[str, Any]:
    resources = {"mailer": mailer, "settings": Settings(mail_from="Shop <shop@example.org>")}
    result: dict[str, Any] = await run_handler("email.send", payload, HandlerContext(resources=resources, **context))
    return result


async def test_a_mail_arrives(server: MailServer, mailer: Mailer) -> None:
    """The plainest mail arrives with its sender, recipient, subject, date, text and the Message-ID of the result."""
    result = await send(mailer, MAIL, job_id="01890a5d-ac96-774b-bcce-b302099a8057")
    assert result == {"message_id": "<01890a5d-ac96-774b-bcce-b302099a8057@millstream>"}
    [message] = server.messages
    assert [message["From"], message["To"], message["Subject"]] == [
        "Shop <shop@example.org>",
        "ann@example.org",
        "Hello",
    ]
    assert message["Message-ID"] == result["message_id"]
    assert message["Date"].datetime is not None
    assert message.get_content() == "How are you?\n"
    assert (server.envelopes[0].mail_from, server.envelopes[0].rcpt_tos) == ("shop@example.org", ["ann@example.org"])


async def test_a_second_delivery_can_be_recognised(server: MailServer, mailer: Mailer) -> None:
    """Attempts of one job carry one Message-ID, jobs of their own carry their own."""
    job_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    await send(mailer, MAIL, job_id=job_id)
    await send(mailer, MAIL, job_id=job_id, attempt=2)
    await send(mailer, MAIL)
    first, second, other = (message["Message-ID"] for message in server.messages)
    assert first == second != other


async def test_everything_in_one_mail(server: MailServer, mailer: Mailer) -> None:
    """Text, HTML, several recipients, copies, a long subject in two scripts and attached files arrive unharmed."""
    subject = "Grüße aus 東京 — " + "sehr lang " * 40
    payload = {
        "to": ["ann@example.org", "Zoë Müller <zoe@bücher.example>"],
        "cc": ["Lee <lee@example.org>", "ann@example.org"],
        "subject": subject,
        "body": "Schön\n.\n..\nFrom here\n" + "x" * 3000,
        "html": "<p>Schön</p>",
        "attachments": [
            {"filename": "rechnung März.png", "content": base64.b64encode(PNG).decode(), "content_type": "image/png"},
            {"filename": "data.bin", "content": ""},
        ],
    }
    await send(mailer, payload)
    [message] = server.messages
    assert message["Subject"] == subject
    assert [str(address) for address in message["To"].addresses] == [
        "ann@example.org",
        "Zoë Müller <zoe@xn--bcher-kva.example>",
    ]
    assert server.envelopes[0].rcpt_tos == ["ann@example.org", "zoe@xn--bcher-kva.example", "lee@example.org"]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().rstrip("\n") == payload["body"]
    assert html.get_content() == "<p>Schön</p>\n"
    image, data = message.iter_attachments()
    assert (image.get_filename(), image.get_content_type(), image.get_content()) == (
        "rechnung März.png",
        "image/png",
        PNG,
    )
    assert (data.get_filename(), data.get_content()) == ("data.bin", b"")


async def test_html_alone_is_a_mail(server: MailServer, mailer: Mailer) -> None:
    """A mail without a text body is HTML and nothing else."""
    await send(mailer, {"to": ["ann@example.org"], "subject": "", "html": "<b>Hi</b>"})
    assert server.messages[0].get_content_type() == "text/html"


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Hello\r\nBcc: eve@example.org"},
        {"subject": "Hello\nX: y"},
        {"subject": "Hello\rX: y"},
        {"subject": "Hello\0"},
        {"subject": "Hello\u2028Bcc: eve@example.org"},
        {"subject": "Hello\x0b"},
        {"to": "ann@example.org\r\nRCPT TO:<eve@example.org>"},
        {"to": "ann@example.org, eve@example.org"},
        {"to": ["ann@example.org", "Eve\n <eve@example.org>"]},
        {"to": "ann@example.org> SIZE=1"},
        {"cc": ["ann@example.org\nBcc: eve@example.org"]},
        {"cc": "nobody"},
        {"body": ""},
        {"body": "a\0b"},
        {"html": "a\0b"},
        {"attachments": [{"filename": "../../etc/passwd", "content": ""}]},
        {"attachments": [{"filename": "a\\b", "content": ""}]},
        {"attachments": [{"filename": "..", "content": ""}]},
        {"attachments": [{"filename": 'a.txt"\r\nX-Evil: 1', "content": ""}]},
        {"attachments": [{"filename": "=?utf-8?q?..=2Fx?=", "content": ""}]},
        {"attachments": [{"filename": "gpj\u202eexe.a", "content": ""}]},
        {"attachments": [{"filename": "a.txt", "content": "", "content_type": "text/plain\r\nX-Evil: 1"}]},
        {"attachments": [{"filename": "a.txt", "content": "", "content_type": "multipart/mixed"}]},
        {"attachments": [{"filename": "a.txt", "content": "", "content_type": "nonsense"}]},
        {"attachments": [{"filename": name, "content": base64.b64encode(bytes(6 << 20)).decode()} for name in "ab"]},
    ],
    ids=lambda change: str(change)[:60],
)
async def test_a_mail_that_cannot_be_safe_is_never_sent(server: MailServer, mailer: Mailer, change: dict[str, Any]) -> None:
    """Line breaks in headers, unsafe names and empty or oversized mails fail for good, before any connection."""
    with pytest.raises(PermanentFailure):
        await send(mailer, MAIL | change)
    assert server.connection_count == 0


@pytest.mark.parametrize("filename", ['a "quoted" name.txt', "a;b=c.txt", "x" * 200, "名" * 80, "a%0d%0a"])
async def test_an_odd_file_name_is_only_a_name(server: MailServer, mailer: Mailer, filename: str) -> None:
    """A name that looks like header syntax arrives as that name and adds no header."""
    await send(mailer, MAIL | {"attachments": [{"filename": filename, "content": "aGk="}]})
    [attachment] = server.messages[0].iter_attachments()
    assert attachment.get_filename() == filename
    assert set(attachment.keys()) == {
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "MIME-Version",
    }


async def test_mails_share_a_connection(server: MailServer, mailer: Mailer) -> None:
    """Twenty mails one after the other go out over one connection."""
    for _ in range(20):
        await send(mailer, MAIL)
    assert (len(server.messages), server.connection_count) == (20, 1)


async def test_connections_are_bounded(server: MailServer, mailer: Mailer) -> None:
    """Thirty mails at once never hold more than the two connections that the mailer may have."""
    await asyncio.gather(*(send(mailer, MAIL) for _ in range(30)))
    assert len(server.messages) == 30
    assert (server.most_open, server.connection_count) == (2, 2)


async def test_the_server_was_restarted_between_two_mails(server: MailServer, mailer: Mailer) -> None:
    """A kept connection that died meanwhile is replaced; the job notices nothing."""
    await send(mailer, MAIL)
    await server.stop()
    await server.start()
    await send(mailer, MAIL)
    assert (len(server.messages), server.connection_count) == (2, 2)


@pytest.mark.parametrize("drops_spent", [False, True])
async def test_the_server_has_had_enough_of_a_connection(server: MailServer, mailer: Mailer, drops_spent: bool) -> None:
    """A 421, or nothing any more, where a kept connection begins its next mail only means a new connection."""
    server.mails_per_connection = 2
    server.drops_spent = drops_spent
    for _ in range(6):
        await send(mailer, MAIL)
    assert (len(server.messages), server.connection_count) == (6, 3)


async def test_an_idle_connection_is_closed(server: MailServer) -> None:
    """A connection that nobody needed for the idle time says goodbye; the next mail opens another."""
    async with Mailer(server.url, idle_seconds=0.01) as mailer:
        await send(mailer, MAIL)
        await asyncio.wait_for(server.is_deserted.wait(), 10)
        await send(mailer, MAIL)
    assert (len(server.messages), server.connection_count) == (2, 2)


async def test_a_closed_mailer_leaves_nothing_open(server: MailServer) -> None:
    """Closing says goodbye on every kept connection, and later mails are refused."""
    async with Mailer(server.url) as mailer:
        await asyncio.gather(*(send(mailer, MAIL) for _ in range(3)))
    await asyncio.wait_for(server.is_deserted.wait(), 10)
    with pytest.raises(UnavailableError, match="closed"):
        await send(mailer, MAIL)


async def test_a_cancelled_mail_does_not_confuse_the_next(server: MailServer, mailer: Mailer) -> None:
    """When a job is cancelled while the server thinks, its connection is given up, not reused out of step."""
    server.may_answer.clear()
    cancelled = asyncio.create_task(send(mailer, MAIL))
    await asyncio.wait_for(server.has_content.wait(), 10)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    server.may_answer.set()
    server.answers["eve@example.org"] = "550 no Eve here"
    with pytest.raises(PermanentFailure, match="550 no Eve here"):
        await send(mailer, MAIL | {"to": "eve@example.org"})
    assert server.connection_count == 2


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("ann@example.org", "550 no such user", PermanentFailure),
        ("ann@example.org", "451 greylisted", UnavailableError),
        ("MAIL", "553 not from you", PermanentFailure),
        ("MAIL", "452 disk full", UnavailableError),
        ("DATA", "554 looks like spam", PermanentFailure),
        ("DATA", "451 try later", UnavailableError),
    ],
)
async def test_the_server_says_no(server: MailServer, mailer: Mailer, command: str, answer: str, expected: type[Exception]) -> None:
    """A 5xx fails for good, a 4xx may be tried again; the error quotes the server, and the next mail goes through."""
    server.answers[command] = answer
    with pytest.raises(expected, match=answer):
        await send(mailer, MAIL)
    del server.answers[command]
    await send(mailer, MAIL)
    assert len(server.messages) == 1


async def test_a_refused_recipient_keeps_the_connection(server: MailServer, mailer: Mailer) -> None:
    """A refusal is an answer like any other: the connection is reset and goes on."""
    server.answers["eve@example.org"] = "550 no such user"
    for _ in range(3):
        with pytest.raises(PermanentFailure):
            await send(mailer, MAIL | {"to": "eve@example.org"})
        await send(mailer, MAIL)
    assert server.connection_count == 1


async def test_some_recipients_are_refused(server: MailServer, mailer: Mailer) -> None:
    """The others get the mail, and the result names who did not and why."""
    server.answers |= {"eve@example.org": "550 no such user", "bob@example.org": "452 mailbox full"}
    result = await send(mailer, MAIL | {"to": ["ann@example.org", "eve@example.org"], "cc": ["bob@example.org"]})
    assert result["refused"] == {"eve@example.org": "550 no such user", "bob@example.org": "452 mailbox full"}
    assert server.envelopes[0].rcpt_tos == ["ann@example.org"]


async def test_a_later_chance_for_one_is_a_later_chance_for_the_mail(server: MailServer, mailer: Mailer) -> None:
    """When all recipients are refused but one of them only for now, the job is tried again."""
    server.answers |= {"eve@example.org": "550 no such user", "bob@example.org": "452 mailbox full"}
    with pytest.raises(UnavailableError):
        await send(mailer, MAIL | {"to": ["eve@example.org", "bob@example.org"]})


async def test_no_server_is_a_reason_to_try_again(server: MailServer, mailer: Mailer) -> None:
    """A server that does not answer is named in an ordinary error."""
    await server.stop()
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{server.port}"):
        await send(mailer, MAIL)


async def test_a_bad_sender_is_not_the_fault_of_the_job(mailer: Mailer) -> None:
    """When MILLSTREAM_MAIL_FROM is no address the error names the setting, and the job may be tried again."""
    resources = {"mailer": mailer, "settings": Settings(mail_from="nobody")}
    with pytest.raises(ConfigError, match="MILLSTREAM_MAIL_FROM"):
        await run_handler("email.send", MAIL, HandlerContext(resources=resources))


async def test_the_url_may_hold_a_login(server: MailServer) -> None:
    """User and password are taken from the URL, percent-encoded, and given once a connection."""
    async with Mailer(f"smtp://shop%40example.org:p%2Fss@127.0.0.1:{server.port}") as mailer:
        await send(mailer, MAIL)
        await send(mailer, MAIL)
    assert server.logins == [(b"shop@example.org", b"p/ss")]
