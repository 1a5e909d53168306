"""`email.send`: one mail, to be recognised by its Message-ID should it arrive twice."""

import asyncio
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from consumer.mailbox import UNSAFE_IN_HEADER, Mailbox, header_text, parse_mailbox
from shared.errors import ConfigError
from shared.jobs import Context, PermanentFailure, job
from shared.settings import Settings

if TYPE_CHECKING:
    # Its library comes with the extra `handlers`, which a process that only describes types may lack.
    from consumer.mailer import Mailer

MAX_RECIPIENTS = 50
MAX_ATTACHMENTS = 50
MAX_ATTACHED_BYTES = 10 * 1024 * 1024

# For the schema alone: the API refuses such a payload at once. What counts is the check before sending.
_NO_LINE_BREAK = {"pattern": "^[^\\r\\n\\u0000]*$"}
_ADDRESS = {"pattern": "^[^\\r\\n\\u0000]*@[^\\r\\n\\u0000]*$"}
_ASCII = SMTP.clone(cte_type="7bit")  # a form that every server takes
_WORD = "([A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)"  # RFC 6838, 4.2
_CONTENT_TYPE = re.compile(rf"(?!(?i:multipart|message)/){_WORD}/{_WORD}")  # those two must not be in base64
# Paths, controls, marks that make "txt.exe" look like "exe.txt", and encoded words, which a reader may turn into any.
_UNSAFE_IN_FILENAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028-\u202e\u2066-\u2069]|=\?")

Address = Annotated[str, Meta(min_length=3, max_length=512, extra_json_schema=_ADDRESS)]
Line = Annotated[str, Meta(max_length=998, extra_json_schema=_NO_LINE_BREAK)]  # RFC 5322, 2.1.1


class Attachment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to attach; `content` is base64."""

    filename: Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=_NO_LINE_BREAK)]
    content: Annotated[bytes, Meta(max_length=MAX_ATTACHED_BYTES)]
    content_type: Annotated[str, Meta(max_length=127)] = "application/octet-stream"


class Email(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail with a plain text body, an HTML body, or both. Addresses: ann@example.org or Ann <ann@example.org>."""

    to: Address | Annotated[list[Address], Meta(min_length=1, max_length=MAX_RECIPIENTS)]
    subject: Line
    body: str = ""
    html: str | None = None
    cc: Address | Annotated[list[Address], Meta(max_length=MAX_RECIPIENTS)] = []
    attachments: Annotated[list[Attachment], Meta(max_length=MAX_ATTACHMENTS)] = []


@job("email.send", aliases=("EMAIL", "EMAIL_SEND", "sendEmail", "welcome-email"))
async def send(ctx: Context, payload: Email) -> dict[str, Any]:
    """Hand the mail to the mail server; return its Message-ID and the recipients that the server refused, if any.

    Done as soon as one recipient was accepted: trying again for the others would mail the accepted ones twice.
    """
    mailer: Mailer = ctx.resources["mailer"]
    sender = _sender(ctx.resources["settings"])
    to, cc = _mailboxes("to", payload.to), _mailboxes("cc", payload.cc)
    message_id = f"<{ctx.job_id}@millstream>"
    headers = _headers(sender, to, cc, payload.subject, message_id)
    message = await asyncio.to_thread(_with_content, headers, payload)  # base64 of megabytes holds up an event loop
    recipients = list(dict.fromkeys(mailbox.address for mailbox in (*to, *cc)))
    refused = await mailer.send(sender.address, recipients, message)
    return {"message_id": message_id} | ({"refused": refused} if refused else {})


def _sender(settings: Settings) -> Mailbox:
    try:
        return parse_mailbox(settings.mail_from)
    except ValueError as error:
        raise ConfigError([f"MILLSTREAM_MAIL_FROM: {error}"]) from None  # not the job's fault: it may be tried again


def _mailboxes(field: str, value: str | list[str]) -> list[Mailbox]:
    try:
        return [parse_mailbox(text) for text in ([value] if isinstance(value, str) else value)]
    except ValueError as error:
        raise PermanentFailure(f"{field}: {error}") from None


def _headers(sender: Mailbox, to: list[Mailbox], cc: list[Mailbox], subject: str, message_id: str) -> bytes:
    if UNSAFE_IN_HEADER.search(subject):
        raise PermanentFailure("subject: holds a line break or a control character")
    lines = [
        f"From: {sender.header()}",
        f"To: {_one_a_line(to)}",
        *([f"Cc: {_one_a_line(cc)}"] if cc else []),
        f"Subject: {header_text(subject)}",
        f"Date: {formatdate()}",
        f"Message-ID: {message_id}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _one_a_line(mailboxes: list[Mailbox]) -> str:
    return ",\r\n ".join(mailbox.header() for mailbox in mailboxes)


def _with_content(headers: bytes, payload: Email) -> bytes:
    """Put bodies and attachments below the headers. Raises PermanentFailure for what cannot be put into a mail."""
    _check_content(payload)
    content = EmailMessage(policy=_ASCII)
    if payload.body or payload.html is None:
        content.set_content(payload.body)
    if payload.html is not None:
        (content.add_alternative if payload.body else content.set_content)(payload.html, subtype="html")
    for attachment in payload.attachments:
        maintype, subtype = _content_type(attachment)
        content.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.filename)
    return headers + content.as_bytes()


def _check_content(payload: Email) -> None:
    if not (payload.body or payload.html):
        raise PermanentFailure("one of body and html is needed")
    if "\0" in payload.body or "\0" in (payload.html or ""):
        raise PermanentFailure("body or html: holds a NUL, which mail cannot carry")
    if sum(len(attachment.content) for attachment in payload.attachments) > MAX_ATTACHED_BYTES:
        raise PermanentFailure(f"attachments: more than {MAX_ATTACHED_BYTES} bytes together")
    for attachment in payload.attachments:
        if _UNSAFE_IN_FILENAME.search(attachment.filename) or not attachment.filename.strip(". "):
            raise PermanentFailure(f"attachments: {attachment.filename!r} is no safe file name")


def _content_type(attachment: Attachment) -> tuple[str, str]:
    found = _CONTENT_TYPE.fullmatch(attachment.content_type)
    if found is None:
        raise PermanentFailure(f"attachments: content_type {attachment.content_type!r} is not of the form image/png")
    return found[1], found[2]
