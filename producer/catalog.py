"""The job types that consumers have published, with validators compiled once each."""

import asyncio
import time
from typing import Any

import jsonschema_rs
import msgspec

from producer.near_names import near_names
from producer.problems import ProblemError, invalid
from shared.catalog_store import known_types
from shared.database import Databases
from shared.errors import UnavailableError
from shared.log import get_log
from shared.models import TypeInfo
from shared.queues import MOST_QUEUES, Queues
from shared.webhooks import DELIVERY_TYPE

log = get_log()

REFRESH_SECONDS = 5.0
MISS_SECONDS = 0.5  # an unknown type may be a new one: look again, but not more often than that
DEFAULT_MAX_ATTEMPTS = 4
MOST_ERRORS = 20


class KnownType:
    """One job type: how its payload is checked, and the defaults of its jobs."""

    def __init__(self, info: TypeInfo) -> None:
        self.type = info.type
        self.info = info
        self.is_system = info.type == DELIVERY_TYPE  # its jobs are not for clients to submit
        self.max_attempts: int = info.defaults.get("max_attempts", DEFAULT_MAX_ATTEMPTS)
        self.timeout: float | None = info.defaults.get("timeout")
        self.backoff = msgspec.Raw(msgspec.json.encode(info.defaults["backoff"])) if info.defaults.get("backoff") else None
        self._validator = jsonschema_rs.validator_for(info.schema)

    def validate(self, payload: dict[str, Any]) -> None:
        """Raise ProblemError (422) with a pointer for everything that the schema does not allow."""
        if not self._validator.is_valid(payload):
            found = [_error(error) for error, _ in zip(self._validator.iter_errors(payload), range(MOST_ERRORS), strict=False)]
            raise ProblemError(422, f"the payload does not fit the type {self.type}", errors=found)


class Catalog:
    """The types by name and alias, as they were at the last `refresh`. `signs_webhooks`: there is a secret to sign them with."""

    def __init__(self, databases: Databases, queues: Queues, *, signs_webhooks: bool) -> None:
        self._queues = queues
        self.signs_webhooks = signs_webhooks
        self._databases = databases
        self._names: dict[str, KnownType] = {}
        self._refreshed_at = float("-inf")
        self._looked_at = float("-inf")  # whether or not there was an answer
        self._look = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether it has been read at least once."""
        return self._refreshed_at > float("-inf")

    async def refresh(self) -> None:
        """Read the catalog; validators of types that did not change are kept."""
        self._looked_at = time.monotonic()
        infos = await known_types(self._databases.any())
        self._refreshed_at = time.monotonic()
        kept = {kind.type: kind for kind in self._names.values()}
        kinds = [kept[info.type] if info.type in kept and kept[info.type].info == info else _known(info) for info in infos]
        names: dict[str, KnownType] = {alias: kind for kind in kinds if kind for alias in kind.info.aliases}
        self._names = names | {kind.type: kind for kind in kinds if kind}

    async def refresh_for(self, name: str, since: float) -> None:
        """Look whether an unknown type has just been published, unless that was done after `since` (monotonic) already."""
        async with self._look:
            if name in self._names or self._looked_at >= since:
                return
            await asyncio.sleep(max(0.0, self._looked_at + MISS_SECONDS - time.monotonic()))
            try:
                await self.refresh()
            except UnavailableError as error:
                log.warning("catalog_not_refreshed", error=str(error))

    def find(self, name: str) -> KnownType:
        """Return the type of that name or alias. Raises ProblemError: 422 with the nearest names, 503 before the first refresh."""
        kind = self._names.get(name)
        if kind is None:
            raise self._unknown(name)
        return kind

    def check_queue(self, name: str) -> None:
        """Raise ProblemError (422) for a new queue beyond those that there may be."""
        if not self._queues.has_room_for(name):
            raise invalid(f"there are {MOST_QUEUES} queues already, and {name} is not one of them", "/queue")

    def _unknown(self, name: str) -> ProblemError:
        if not self.loaded:
            return ProblemError(503, "the catalog of job types is not loaded yet", retry_after=1)
        near = near_names(name, self._names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known types: {', '.join(sorted(self._names)[:20]) or 'none'}"
        detail = f"no consumer has published the type {name[:100]!r}; {hint}"
        return ProblemError(422, detail, errors=[{"pointer": "/type", "detail": detail}])


def _known(info: TypeInfo) -> KnownType | None:
    try:
        return KnownType(info)
    except Exception as error:  # noqa: BLE001 - whatever a row holds, the other types must not suffer
        log.warning("type_refused", job_type=info.type, error=str(error))
        return None


def _error(error: jsonschema_rs.ValidationError) -> dict[str, str]:
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in error.instance_path]
    return {"pointer": "".join(f"/{step}" for step in ["payload", *steps]), "detail": str(error.message)[:500]}
