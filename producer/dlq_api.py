"""The routes of the dead-letter queue: look, replay, purge."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from producer import listing
from producer.body import json_body
from producer.decoding import decoded
from producer.jobs_api import answer
from producer.problems import invalid
from producer.publisher import Publisher
from shared.broker import Broker
from shared.dlq_store import DlqStore, Places
from shared.errors import BrokerUnavailableError
from shared.ids import parse_id
from shared.job_filter import Filter
from shared.job_views import JobViews
from shared.lifecycle import Status
from shared.log import get_log
from shared.models import Moment

log = get_log()

MOST_LETTERS = 10_000  # in one call
DEFAULT_LETTERS = 1_000
SHOWN_IDS = 100
BATCH = 500
FILTERS = ("type", "queue", "priority", "tag", "reason", "dead_after", "dead_before", "limit", "cursor")

Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]+\Z")]


class Letters(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /dlq/replay and /dlq/purge: which letters. What is not given does not matter."""

    type: Text | None = None
    queue: Text | None = None
    priority: Literal["high", "normal", "low"] | None = None
    tag: Text | None = None
    reason: Text | None = None
    dead_after: Moment | None = None
    dead_before: Moment | None = None
    ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_LETTERS)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_LETTERS)] = DEFAULT_LETTERS
    dry_run: bool = False


_letters = msgspec.json.Decoder(Letters).decode


class DlqApi:
    """Handlers of these routes."""

    def __init__(self, views: JobViews, letters: DlqStore, publisher: Publisher, broker: Broker) -> None:
        self._views = views
        self._letters = letters
        self._publisher = publisher
        self._broker = broker

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (
            ("GET", "/jobs/dead", self.page),
            ("POST", "/dlq/replay", self.replay),
            ("POST", "/dlq/purge", self.purge),
        )

    async def page(self, request: web.Request) -> web.Response:
        """GET /jobs/dead: what is dead-lettered, newest first."""
        wanted, limit = listing.wanted(request.query, FILTERS)
        return answer(listing.page_body(await self._views.page(msgspec.structs.replace(wanted, status=[Status.FAILED]), limit)))

    async def replay(self, request: web.Request) -> web.Response:
        """POST /dlq/replay: dead jobs start anew."""
        letters, ids, more = await self._matching(request)
        done: list[str] = []
        for batch in _batches([] if letters.dry_run else ids):
            replayed = await self._letters.replay(batch)
            self._publisher.put([(job.lane, job.id) for job in replayed])
            done += [job.id for job in replayed]
            await self._forget_stale({job.id: job.entry_id for job in replayed})
        return _told("replayed", letters, ids, done, more=more)

    async def purge(self, request: web.Request) -> web.Response:
        """POST /dlq/purge: dead jobs are deleted."""
        letters, ids, more = await self._matching(request)
        done: list[str] = []
        for batch in _batches([] if letters.dry_run else ids):
            done += await self._letters.purge(batch, self._forget)
        return _told("purged", letters, ids, done, more=more)

    async def _matching(self, request: web.Request) -> tuple[Letters, list[str], bool]:
        """The body, the ids that it means, and whether there are, or for a dry run may be, more of them."""
        letters = decoded(_letters, await json_body(request))
        if letters.dry_run:
            found, complete = await self._letters.preview(_filter(letters), letters.limit + 1)
        else:
            found, complete = await self._letters.matching(_filter(letters), letters.limit + 1), True
        return letters, found[: letters.limit], len(found) > letters.limit or not complete

    async def _forget_stale(self, places: Places) -> None:
        """The jobs run again whether or not Redis is there."""
        try:
            await self._forget(places)
        except BrokerUnavailableError as error:
            log.warning("letters_not_removed", count=len(places), error=str(error))

    async def _forget(self, places: Places) -> None:
        known = [place for place in places.values() if place]
        if unknown := {job_id for job_id, place in places.items() if not place}:  # added, but not noted yet
            known += await self._broker.letters.newest_places(unknown)
        await self._broker.letters.forget(known)


def _filter(letters: Letters) -> Filter:
    given = {name: value for name in Letters.__struct_fields__ if (value := getattr(letters, name)) is not None}
    try:
        chosen = msgspec.convert({name: value for name, value in given.items() if name not in {"limit", "dry_run", "ids"}}, Filter)
        listing.check_moments(chosen)
    except OverflowError as error:
        raise invalid(str(error)) from error
    return msgspec.structs.replace(chosen, ids=None if letters.ids is None else _known_ids(letters.ids))


def _known_ids(texts: Sequence[str]) -> list[str]:
    ids = [parse_id(text) for text in texts]
    for index, job_id in enumerate(ids):
        if job_id is None:
            raise invalid("is no job id: a UUID in 36 characters", f"/ids/{index}")
    return [job_id for job_id in ids if job_id]


def _batches(ids: Sequence[str]) -> Sequence[Sequence[str]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _told(what: str, letters: Letters, ids: Sequence[str], done: Sequence[str], *, more: bool) -> web.Response:
    shown = ids if letters.dry_run else done
    return answer({"matched": len(ids), what: len(done), "ids": shown[:SHOWN_IDS], "more": more, "dry_run": letters.dry_run})
