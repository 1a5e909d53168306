"""A mail server reached over a few connections that are kept between mails."""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from shared.errors import PermanentFailure, UnavailableError
from shared.settings import host_name

__all__ = ["Mailer"]

MAX_CONNECTIONS = 8
IDLE_SECONDS = 30.0  # well under the five minutes that a server must wait (RFC 5321, 4.5.3.2.7)
COMMAND_SECONDS = 30.0
DATA_SECONDS = 600.0  # RFC 5321, 4.5.3.2.6: who gives up earlier makes duplicates; the job's own time limit comes first
PROBE_SECONDS = 5.0
QUIT_SECONDS = 2.0
_SERVER_IS_CLOSING = 421  # also what servers say after their limit of mails a connection


class Mailer:
    """Sends mails; belongs to one event loop. `close` it, or use it as an async context manager.

    At most `max_connections` mails are under way, more wait. A connection is kept for `idle_seconds` after a mail.
    """

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle_seconds: float = IDLE_SECONDS,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        """`url`: `smtp://`, `smtps://` or `smtp+starttls://`, with `user:password@` (percent-encoded) if need be."""
        self._url = urlsplit(url)
        is_encrypted = self._url.scheme != "smtp"
        self._tls_context = tls_context or (ssl.create_default_context() if is_encrypted else None)
        self._idle_seconds = idle_seconds
        self._slots = asyncio.Semaphore(max_connections)
        self._kept: dict[SMTP, asyncio.TimerHandle] = {}  # last in, first out: those beyond need grow old and go
        self._farewells: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def send(self, sender: str, recipients: Sequence[str], message: bytes) -> dict[str, str]:
        """Hand `message` (ASCII, CRLF) to the server; return the recipients that it refused, each with its words.

        Raises PermanentFailure when it refuses the mail or every recipient for good, UnavailableError when it may take
        the mail later. Then it may nevertheless have taken it: a connection can break before the answer comes.
        """
        async with self._slots:
            if self._is_closed:
                raise UnavailableError("the mailer is closed")
            with self._explained():
                connection = await self._begin(sender)
                try:
                    return await _finish(connection, recipients, message)
                except (SMTPResponseException, SMTPRecipientsRefused):
                    await _reset(connection)
                    raise
                except BaseException:
                    connection.close()  # an answer that is still on its way would be read as the next mail's
                    raise
                finally:
                    self._keep(connection)

    async def close(self) -> None:
        """Say goodbye on every kept connection. Mails under way go out; later ones meet UnavailableError."""
        self._is_closed = True
        while (kept := self._take()) is not None:
            self._dismiss(kept)
        await asyncio.gather(*self._farewells)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _begin(self, sender: str) -> SMTP:
        kept = self._take()
        if kept is not None:
            # MAIL is the probe as well: a kept connection that breaks there has sent nothing, a new one may start over.
            try:
                return await _mail(kept, sender, PROBE_SECONDS)
            except SMTPException as error:
                if not _means_closed(error):
                    raise
        return await _mail(await self._connect(), sender, COMMAND_SECONDS)

    async def _connect(self) -> SMTP:
        url = self._url
        connection = SMTP(
            hostname=url.hostname,
            port=url.port,
            username=unquote(url.username) if url.username else None,
            password=unquote(url.password) if url.password else None,
            local_hostname=host_name(),  # the default asks DNS, which can take seconds
            timeout=COMMAND_SECONDS,
            use_tls=url.scheme == "smtps",
            start_tls=url.scheme == "smtp+starttls",
            tls_context=self._tls_context,
        )
        await connection.connect()
        return connection

    def _take(self) -> SMTP | None:
        while self._kept:
            connection, timer = self._kept.popitem()
            timer.cancel()
            if connection.is_connected:
                return connection
        return None

    def _keep(self, connection: SMTP) -> None:
        if self._is_closed:
            connection.close()
        elif connection.is_connected:
            self._kept[connection] = asyncio.get_running_loop().call_later(self._idle_seconds, self._expire, connection)

    def _expire(self, connection: SMTP) -> None:
        del self._kept[connection]
        self._dismiss(connection)

    def _dismiss(self, connection: SMTP) -> None:
        farewell = asyncio.create_task(_quit(connection))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of SMTP into ours: only what the server said about this very mail can be for good."""
        try:
            yield
        except SMTPRecipientsRefused as error:
            raise self._refusal(error.recipients) from error
        except (SMTPSenderRefused, SMTPDataError) as error:
            raise self._refusal([error]) from error
        except (SMTPException, OSError) as error:
            raise UnavailableError(f"{self._name}: {error}", "check MILLSTREAM_SMTP_URL") from error

    def _refusal(self, errors: Sequence[SMTPResponseException]) -> Exception:
        sentence = f"{self._name} refused: {'; '.join(map(_words, errors))}"
        return PermanentFailure(sentence) if all(error.code >= 500 for error in errors) else UnavailableError(sentence)

    @property
    def _name(self) -> str:
        return f"mail server {self._url.hostname}:{self._url.port or self._url.scheme}"


async def _mail(connection: SMTP, sender: str, seconds: float) -> SMTP:
    with _closed_on_error(connection):
        await connection.mail(sender, timeout=seconds)
    return connection


async def _finish(connection: SMTP, recipients: Sequence[str], message: bytes) -> dict[str, str]:
    refused = []
    for recipient in recipients:
        try:
            await connection.rcpt(recipient)
        except SMTPRecipientRefused as error:
            refused.append(error)
    if len(refused) == len(recipients):
        raise SMTPRecipientsRefused(refused)
    await connection.data(message, timeout=DATA_SECONDS)
    return {error.recipient: _words(error) for error in refused}


async def _reset(connection: SMTP) -> None:
    with suppress(SMTPException), _closed_on_error(connection):
        await connection.rset(timeout=PROBE_SECONDS)


async def _quit(connection: SMTP) -> None:
    with suppress(SMTPException), _closed_on_error(connection):
        await connection.quit(timeout=QUIT_SECONDS)


@contextmanager
def _closed_on_error(connection: SMTP) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _means_closed(error: SMTPException) -> bool:
    if isinstance(error, SMTPResponseException):
        return error.code == _SERVER_IS_CLOSING
    return isinstance(error, ConnectionError | TimeoutError)


def _words(error: SMTPResponseException) -> str:
    return f"{error.code} {error.message}"
