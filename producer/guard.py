"""What surrounds every handler: the key check, and errors as problem documents."""

import hmac
from collections.abc import Sequence
from functools import lru_cache

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import Counter

from producer.problems import ProblemError, unavailable
from shared import metrics
from shared.errors import UnavailableError
from shared.log import get_log

log = get_log()

OPEN_PATHS = frozenset({"/livez", "/readyz", "/api/v1/livez", "/api/v1/readyz"})


class Guard:
    """One middleware for all routes. Without `api_keys` everybody is let in."""

    def __init__(self, api_keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in api_keys]

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await self._answered(request, handler)
            _counter(response.status).inc()
            return response

        return guard

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if self._keys:
                self._check_key(request)
            return await handler(request)
        except ProblemError as problem:
            return problem.response()
        except web.HTTPException as error:
            return _translated(error)
        except UnavailableError as error:
            return unavailable(str(error)).response()
        except Exception:
            log.exception("request_failed", method=request.method, path=request.path)
            return ProblemError(500, "an error of ours; it is in the log").response()

    def _check_key(self, request: web.Request) -> None:
        if request.path in OPEN_PATHS:
            return
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given = (bearer if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")).strip().encode("utf-8", "replace")
        if not given:
            raise ProblemError(401, "send a key: Authorization: Bearer <key>")
        if not any(hmac.compare_digest(given, key) for key in self._keys):
            raise ProblemError(403, "this key is not valid")


@lru_cache
def _counter(status: int) -> Counter:
    """The counter of answers of that status; looking it up by label costs more than counting."""
    return metrics.requests.labels(status)


def _translated(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    details = {404: "there is no such route", 405: "this route does not take that method", 413: "the body is too large"}
    response = ProblemError(error.status, details.get(error.status, error.reason)).response()
    if hdrs.ALLOW in error.headers:
        response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    return response
