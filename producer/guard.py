"""What surrounds every handler: the key check, and errors as problem documents."""

import hmac
from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from producer.problems import ProblemError, unavailable
from shared import metrics
from shared.errors import UnavailableError
from shared.log import get_log

log = get_log()

ANY_PATH = "/{path}"
OPEN_PATHS = frozenset({"/livez", "/readyz", "/api/v1/livez", "/api/v1/readyz"})


class Guard:
    """Wraps every handler as it is routed, which costs less than a middleware. Without `api_keys` everybody is let in."""

    def __init__(self, api_keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in api_keys]

    def around(self, handler: Handler) -> Handler:
        """Return `handler` with its key check, its errors as problem documents, and its answers counted."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            response = await self._answered(request, handler)
            metrics.answers[response.status] += 1
            return response

        return guarded

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


def _translated(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    details = {413: "the body is too large"}
    return ProblemError(error.status, details.get(error.status, error.reason)).response()


async def no_route(request: web.Request) -> web.StreamResponse:
    """Answer what matches no route: 405 where another method would, 404 otherwise."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != ANY_PATH:
            _, methods = await resource.resolve(request)
            allowed |= methods
    if not allowed:
        raise ProblemError(404, "there is no such route")
    problem = ProblemError(405, f"this route takes {', '.join(sorted(allowed))}").response()
    problem.headers[hdrs.ALLOW] = ", ".join(sorted(allowed))
    return problem
