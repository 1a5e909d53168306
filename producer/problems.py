"""Errors as RFC 9457 problem documents, for every way in which a request can go wrong. Never a traceback."""

import http
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """The answer to this request is a problem document.

    `errors` are dicts of `pointer` (RFC 6901) and `detail`; `retry_after` is in seconds; `closes`: the connection is of no more use.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        retry_after: int | None = None,
        closes: bool = False,
        kind: str = "about:blank",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.status = status
        self.detail = detail
        self.errors = errors
        self.retry_after = retry_after
        self.closes = closes
        self.kind = kind
        self.headers = headers
        super().__init__(detail)

    def response(self) -> web.Response:
        """Return the document as an answer."""
        document: dict[str, Any] = {
            "type": self.kind,
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = list(self.errors)
        headers = dict(self.headers) | ({} if self.retry_after is None else {"Retry-After": str(self.retry_after)})
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        response = web.Response(body=orjson.dumps(document), status=self.status, content_type=MEDIA_TYPE, headers=headers)
        if self.closes:
            response.force_close()
        return response


def invalid(detail: str, pointer: str = "") -> ProblemError:
    """One thing in the request is not as it should be."""
    return ProblemError(422, detail, errors=[{"pointer": pointer, "detail": detail}])


def not_found(what: str) -> ProblemError:
    """There is no such thing."""
    return ProblemError(404, f"{what} does not exist")


def first_line(error: BaseException | str) -> str:
    """What an error of a library says, without the pictures that some of them draw below it."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(":") if text else type(error).__name__


def unavailable(detail: str, retry_after: int = 1) -> ProblemError:
    """Not now."""
    return ProblemError(503, detail, retry_after=retry_after)
