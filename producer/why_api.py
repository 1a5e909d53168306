"""`GET /jobs/{id}/why`: one sentence."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from producer.jobs_api import answer, job_id_of
from producer.problems import not_found
from producer.why import explain
from shared.database import Databases
from shared.job_facts import facts


class WhyApi:
    """Handler of this route."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (("GET", "/jobs/{id}/why", self.why),)

    async def why(self, request: web.Request) -> web.Response:
        """GET /jobs/{id}/why: why it is not running, or what became of it."""
        job_id = job_id_of(request)
        known = await facts(self._databases.any(), job_id)
        if known is None:
            raise not_found(f"job {job_id}")
        found = explain(known)
        return answer({"id": known.id, "status": known.status, "reason": found.reason, "why": found.why, **found.more})
