"""One job of each type before any load: what cannot work is said at once, and once."""

import time
from dataclasses import dataclass

import orjson

from loadtest.http1 import Response
from loadtest.load.api import Api, AwayError, RefusedError, detail
from loadtest.load.options import Options
from loadtest.load.work import job

START = "Start it with `make run`, or name another one: python -m loadtest http://host:port"


@dataclass(frozen=True)
class Trial:
    """What the trial jobs have shown."""

    job_ids: list[str]
    types: list[str]  # by their own names: --type may be an alias
    at: float  # Unix seconds; when the first was accepted


async def trial(api: Api, options: Options) -> Trial:
    """Submit one job of each type. Raises AwayError or RefusedError with sentences for a person."""
    ids, types = [], []
    at = 0.0
    for kind in options.mix:
        response = await _submitted(api, job(options, kind))
        if not response.ok:
            _explain(response, kind, api.where)
        try:
            receipt = orjson.loads(response.body)
            at = at or time.time()
            ids.append(receipt["id"])
            types.append(receipt["type"])
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"what answers at {api.where} is no millstream: its answer to POST /jobs has no id") from error
    return Trial(ids, sorted(set(types)), at)


async def _submitted(api: Api, body: bytes) -> Response:
    try:
        return await api.call("POST", "/jobs", body)
    except AwayError as error:
        raise AwayError(f"{error}\n  {START}") from error


def _explain(response: Response, kind: str, where: str) -> None:
    said = detail(response)
    match response.status:
        case 401 | 403:
            raise RefusedError(f"{said}\n  Name a key with --api-key or MILLSTREAM_API_KEY.")
        case 404:
            raise RefusedError(f"nothing takes jobs at {where}/jobs: HTTP 404: {said}\n  Name the root of a millstream: http://host:port")
        case 422 if kind.startswith("test."):
            hint = "The types test.* exist where MILLSTREAM_TEST_TYPES=1: `MILLSTREAM_TEST_TYPES=1 make run`. Or name another with --type."
            raise RefusedError(f"{kind}: {said}\n  {hint}")
        case 429 | 502 | 503 | 504:
            raise AwayError(f"no jobs are taken now: {said}")
        case status:
            raise RefusedError(f"a job of the type {kind} is refused: HTTP {status}: {said}")
