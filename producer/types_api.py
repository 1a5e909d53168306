"""`GET /job-types`: what can be submitted."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from producer.jobs_api import answer
from shared.catalog_store import living_types
from shared.database import Databases


class TypesApi:
    """Handler of this route."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (("GET", "/job-types", self.types),)

    async def types(self, _: web.Request) -> web.Response:
        """GET /job-types: every type that was ever published, with its schema, and how many live workers run it."""
        return answer({"types": await living_types(self._databases.any())})
