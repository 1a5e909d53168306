"""Sends to Apprise targets. Runs in the sandbox: Apprise blocks, takes half a second to load, and connects in its own ways."""

import logging
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import unquote

from apprise import Apprise, AppriseAsset, NotifyBase

from consumer.notifying.lockdown import lock_down
from consumer.outgoing import ForbiddenAddressError
from consumer.outgoing.guard import Guard
from shared.allow_list import AllowList

AT_A_TIME = 4
MAX_REASON_CHARACTERS = 300
_MAIL = frozenset({"mailto", "mailtos"})


def main(request: dict[str, Any], _data: bytes) -> Iterator[dict[str, Any]]:
    """Yield an outcome for each target as it is known: `index`, `status` (sent, failed, forbidden, invalid), `reason`.

    `request`: `targets`, a list of [index, url]; `title`; `body`; `allow`. An invalid target keeps the others from being sent, too.
    """
    Apprise.instantiate("json://localhost")  # loads every service, while files may be read
    lock_down(Guard(AllowList.parse(request["allow"])))
    known = {index: _service(url) for index, url in request["targets"]}
    invalid = [{"index": index, "status": "invalid", "reason": why} for index, why in known.items() if isinstance(why, str)]
    if invalid:
        yield from invalid
        return
    reasons = _Reasons()
    logging.getLogger("apprise").addHandler(reasons)
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        sending = [
            threads.submit(_outcome, index, url, known[index], request["title"], request["body"], reasons)
            for index, url in request["targets"]
        ]
        for done in as_completed(sending):
            yield done.result()


def _service(url: str) -> NotifyBase | str:
    """Return what sends to this URL, or why nothing does."""
    asset = AppriseAsset(secure_logging=True, async_mode=False, pgp_autogen=False, pem_autogen=False)
    try:
        service = Apprise.instantiate(url, asset=asset)
    except Exception:  # noqa: BLE001 - a plugin that cannot even read its URL; what it says may hold secrets
        service = None
    if service is None:
        return "not a URL that Apprise understands, or one of a service that this machine lacks"
    return service if _is_remote(service) else "this service reaches the machine itself, or in other ways than HTTP and mail"


def _is_remote(service: NotifyBase) -> bool:
    """Whether it speaks HTTP by `requests`, or sends mail: then the guard sees where it goes. A new kind is refused until known."""
    schemes = {service.protocol, service.secure_protocol} if isinstance(service.protocol, str | None) else set()
    return bool(schemes & _MAIL) or any(hasattr(sys.modules[kind.__module__], "requests") for kind in type(service).__mro__)


def _outcome(index: int, url: str, service: Any, title: str, body: str, reasons: "_Reasons") -> dict[str, Any]:
    reasons.begin()
    try:
        status, words = ("sent", "") if service.notify(body=body, title=title) else ("failed", reasons.heard())
    except ForbiddenAddressError as error:
        status, words = "forbidden", str(error)
    except Exception as error:  # noqa: BLE001 - one target's trouble is not the others'
        status, words = "failed", f"{type(error).__name__}: {error}"
    return {"index": index, "status": status, "reason": _scrubbed(words, url)[:MAX_REASON_CHARACTERS]}


class _Reasons(logging.Handler):
    """What Apprise says of a failure; each target is sent by one thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self._said.setdefault(threading.get_ident(), []).append(record.getMessage())

    def begin(self) -> None:
        self._said[threading.get_ident()] = []

    def heard(self) -> str:
        return "; ".join(self._said[threading.get_ident()]) or "it was not accepted"


def _scrubbed(words: str, url: str) -> str:
    """Replace every part of the URL but its scheme: which of them are secrets only the service knows."""
    rest = url.partition("://")[2]
    parts = {part for text in (rest, unquote(rest)) for part in re.split(r"[^\w.~-]+", text) if len(part) > 2}
    for part in sorted(parts, key=len, reverse=True):
        words = words.replace(part, "***")
    return " ".join(words.split())
