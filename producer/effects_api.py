"""Effects of a job: which there are, and the word of a person about one that is uncertain."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from producer.body import json_body
from producer.jobs_api import answer
from producer.problems import ProblemError, invalid, not_found
from shared.effect_store import EffectStore, EffectView
from shared.ids import parse_id
from shared.job_views import JobViews

MAX_RESULT_BYTES = 64 * 1024


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /jobs/{id}/effects."""

    key: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]+\Z")]
    happened: bool
    result: msgspec.Raw = msgspec.Raw(b"null")  # what ctx.once returns from now on


_verdict = msgspec.json.Decoder(Verdict).decode
_value = msgspec.json.Decoder().decode


class EffectsApi:
    """Handlers of these routes."""

    def __init__(self, effects: EffectStore, views: JobViews) -> None:
        self._effects = effects
        self._views = views

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/jobs/{id}/effects", self.list),
            ("POST", "/jobs/{id}/effects", self.settle),
        )

    async def list(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}/effects."""
        job_id = await self._known(request)
        return answer({"id": job_id, "effects": await self._effects.effects_of(job_id)})

    async def settle(self, request: web.Request) -> web.Response:
        """POST /jobs/{id}/effects: say whether an uncertain effect happened; 409 when it is not uncertain."""
        job_id = await self._known(request)
        verdict = _parsed(await json_body(request))
        if not await self._carried_out(job_id, verdict):
            raise await self._refusal(job_id, verdict.key)
        return answer({"id": job_id, "effects": await self._effects.effects_of(job_id)})

    async def _carried_out(self, job_id: str, verdict: Verdict) -> bool:
        if verdict.happened:
            return await self._effects.confirm(job_id, verdict.key, bytes(verdict.result))
        return await self._effects.deny(job_id, verdict.key)

    async def _refusal(self, job_id: str, key: str) -> ProblemError:
        found: dict[str, EffectView] = {effect.key: effect for effect in await self._effects.effects_of(job_id)}
        if key not in found:
            return not_found(f"the effect {key!r} of job {job_id}")
        if found[key].state == "done":
            return ProblemError(409, f"the effect {key!r} is done; only one that is uncertain can be decided")
        return ProblemError(409, f"job {job_id} is running; decide when its attempt is over")

    async def _known(self, request: web.Request) -> str:
        text = request.match_info["id"]
        job_id = parse_id(text)
        if job_id is None or await self._views.get(job_id) is None:
            raise not_found(f"job {text[:100]!r}")
        return job_id


def _parsed(body: bytes) -> Verdict:
    try:
        verdict = _verdict(body)
        _value(verdict.result)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise invalid(str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProblemError(400, f"malformed JSON: {error}") from error
    if not verdict.happened and bytes(verdict.result) != b"null":
        raise invalid("an effect that did not happen has no result", "/result")
    if len(bytes(verdict.result)) > MAX_RESULT_BYTES:
        raise invalid(f"a result may have {MAX_RESULT_BYTES} bytes", "/result")
    return verdict
