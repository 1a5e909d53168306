"""A real SMTP server on loopback that writes down what it is told."""
# ruff: noqa: N802 - aiosmtpd names its hooks after the commands

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What the server saw, and what it shall answer. It can be stopped and started on the same port."""

    answers: dict[str, str] = field(default_factory=dict)  # to RCPT, by address; to MAIL and DATA under these words
    mails_per_connection: int = 1000  # beyond it: 421, or
    drops_spent: bool = False  # ... not a word more
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    connection_count: int = 0
    most_open: int = 0
    open_connections: set["_Connection"] = field(default_factory=set)
    is_deserted: asyncio.Event = field(default_factory=asyncio.Event)  # the last connection was closed
    has_content: asyncio.Event = field(default_factory=asyncio.Event)  # a mail has been sent to its end
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)  # the end of a mail waits for it
    port: int = 0
    _listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def messages(self) -> list[EmailMessage]:
        """What arrived, as a reader sees it; lines end in a plain LF."""
        contents = (cast("bytes", envelope.original_content) for envelope in self.envelopes)
        texts = (content.replace(b"\r\n", b"\n") for content in contents)
        return [email.message_from_bytes(text, policy=email.policy.default) for text in texts]

    async def start(self) -> None:
        """Listen; on the same port as before, if there was one."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(self, loop), "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection, as a server that is killed does."""
        if self._listener is not None:
            self._listener.close()
            connections = tuple(self.open_connections)
            for connection in connections:
                connection.drop()
            await asyncio.gather(*(connection.conversation for connection in connections), return_exceptions=True)
            await self._listener.wait_closed()

    def log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Let everyone in."""
        del server, session, envelope, mechanism
        said = cast("LoginPassword", data)
        self.logins.append((said.login, said.password))
        return AuthResult(success=True)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Answer MAIL FROM."""
        del session
        connection = cast("_Connection", server)
        connection.mail_count += 1
        is_spent = connection.mail_count > self.mails_per_connection
        if is_spent and self.drops_spent:
            connection.drop()
        answer = "421 enough for one connection" if is_spent else self.answers.get("MAIL", "250 OK")
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Answer RCPT TO."""
        del server, session, options
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answer the end of a mail's content."""
        del server, session
        self.has_content.set()
        await self.may_answer.wait()
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        return answer


class _Connection(SMTP):
    def __init__(self, owner: MailServer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(owner, hostname="mail.test", loop=loop, authenticator=owner.log_in, auth_require_tls=False, timeout=60)
        self._owner = owner
        self.mail_count = 0

    def drop(self) -> None:
        cast("asyncio.Transport", self.transport).abort()

    @property
    def conversation(self) -> asyncio.Task[None]:
        return cast("asyncio.Task[None]", self._handler_coroutine)

    def connection_made(self, transport: Any) -> None:
        self._owner.connection_count += 1
        self._owner.open_connections.add(self)
        self._owner.most_open = max(self._owner.most_open, len(self._owner.open_connections))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.open_connections.discard(self)
        if not self._owner.open_connections:
            self._owner.is_deserted.set()
        super().connection_lost(error)


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """Run a server for the time of a test."""
    server = MailServer()
    server.may_answer.set()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
