"""The dispatch index in Redis: one typed method for each operation. Multi-step ones are Lua scripts in shared/lua, atomic each.

Many ids go in one script call instead of a pipeline of single commands: redis-py spends its time on packing and parsing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from shared.errors import BrokerUnavailableError
from shared.ids import parse_id
from shared.keys import DEFAULT_QUEUE, PRIORITIES, Keys, lane_name, lanes_of, member, split_lane
from shared.letter_stream import LetterStream
from shared.line import Line
from shared.models import Due, Entry, Letter, Placed, Portion
from shared.redis_client import CHUNK, TIMEOUT_SECONDS, chunks, connect, translated

REAPER = "reaper"  # the consumer that takes over entries; one name for all reapers, so that no worker mistakes them for its own
ALL_OF_DEFAULT = (Portion(DEFAULT_QUEUE, share=10**9, limit=10**9),)


class Broker:
    """The streams, the ZSET and the DLQ of one base name.

    Raises BrokerUnavailableError when Redis cannot be reached or refuses (loading, read-only, out of memory); what the command did is
    then unknown. Raises GroupMissingError when Redis has lost the consumer group.
    """

    def __init__(self, url: str, keys: Keys, group: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self.keys = keys
        self.lanes = lanes_of([DEFAULT_QUEUE])  # those that exist; whoever reads the table `queues` keeps it up to date
        self._group = group
        self.client = connect(url, timeout=timeout)
        self.letters = LetterStream(self.client, keys.dlq)
        self._line = Line(self.client, timeout)
        self._scripts = {
            item.name.removesuffix(".lua"): self.client.register_script(item.read_text(encoding="utf-8"))
            for item in (files("shared") / "lua").iterdir()
            if item.name.endswith(".lua")
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._line.close()
        await self.client.aclose()

    async def publish(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Add (lane, job id) to the streams."""
        for lane, group in groupby(sorted(jobs), itemgetter(0)):
            for chunk in chunks([job_id for _, job_id in group]):
                await self._run("publish", [self.keys.stream(lane)], ["".join(chunk)])

    async def take(
        self, consumer: str, count: int, portions: Sequence[Portion] = ALL_OF_DEFAULT, *, least_urgent_first: bool = False
    ) -> list[Entry]:
        """Hand new entries to `consumer`, at most `count` in all, divided among the queues by `portions`, which also order them.

        Returns at once, with none if none are there.
        """
        order = PRIORITIES[::-1] if least_urgent_first else PRIORITIES
        lanes = [(lane_name(portion.queue, priority), number) for number, portion in enumerate(portions, 1) for priority in order]
        shares, limits = [portion.share for portion in portions], [portion.limit for portion in portions]
        args: list[str | int] = [self._group, consumer, count, len(portions), *shares, *limits, *(number for _, number in lanes)]
        flat = await self._run("take", [self.keys.stream(name) for name, _ in lanes], args)
        return [
            Entry(lanes[number - 1][0], entry_id.decode(), parse_id(job_id))
            for number, entry_id, job_id in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    async def wait(self, consumer: str, count: int, block_seconds: float, lanes: Sequence[str] = PRIORITIES) -> list[Entry]:
        """Hand new entries of `lanes` to `consumer`, waiting for the first.

        COUNT is per stream: when `count` is smaller than the number of lanes there may be more than `count`.
        Never cancel it: entries that were on their way would be stranded in the pending list.
        """
        names = {self.keys.stream(name): name for name in lanes}
        with translated():
            reply = await self.client.xreadgroup(
                self._group,
                consumer,
                dict.fromkeys(names, ">"),
                count=max(1, count // len(names)),
                block=int(block_seconds * 1000),
            )
        return [entry for stream, items in reply or [] for entry in _entries(names[stream.decode()], items)]

    async def own_pending(self, consumer: str, idle_seconds: float, known: set[str]) -> list[Entry]:
        """Entries that were handed to `consumer` at least `idle_seconds` ago and are not `known` (by entry id) to it."""
        found = []
        for lane in self.lanes:
            stream = self.keys.stream(lane)
            with translated():
                pending = await self.client.xpending_range(
                    stream, self._group, "-", "+", CHUNK + len(known), consumer, idle=int(idle_seconds * 1000)
                )
                for item in pending:
                    entry_id = item["message_id"]
                    if entry_id.decode() not in known:
                        found += _entries(lane, await self.client.xrange(stream, entry_id, entry_id))
        return found

    async def ack(self, entries: Iterable[Entry]) -> None:
        """Acknowledge and delete entries whose jobs are settled."""
        for stream, group in self._by_stream(entries):
            for chunk in chunks([entry.entry_id for entry in group]):
                await self._run("ack", [stream], [self._group, " ".join(chunk)])

    async def requeue(self, entries: Iterable[Entry]) -> None:
        """Put the jobs of these entries at the end of their streams, then drop the entries."""
        for stream, group in self._by_stream(entries):
            for chunk in chunks(group):
                await self._run(
                    "requeue",
                    [stream],
                    [self._group, *(part for entry in chunk for part in (entry.entry_id, entry.job_id or ""))],
                )

    async def delay(self, jobs: Iterable[Due]) -> None:
        """Put jobs that have no entry into the ZSET."""
        await self._postpone(self.keys.base, [(member(job.id, job.lane), job.due_in, "") for job in jobs])

    async def undelay(self, job_ids: Iterable[str]) -> None:
        """Take jobs out of the ZSET that need not wait any more."""
        members = [member(job_id, lane) for job_id in job_ids for lane in self.lanes]
        with translated():
            await self.client.zrem(self.keys.delayed, *members)

    async def postpone(self, entries: Iterable[tuple[Entry, float]]) -> None:
        """Put the jobs of these entries into the ZSET, due in so many seconds, then drop the entries."""
        by_lane = sorted(entries, key=lambda pair: pair[0].lane)
        for lane, group in groupby(by_lane, lambda pair: pair[0].lane):
            triples = [(member(entry.job_id or "", lane), due_in, entry.entry_id) for entry, due_in in group]
            await self._postpone(self.keys.stream(lane), triples)

    async def bury(self, letters: Sequence[tuple[Letter, Entry | None]]) -> list[Placed]:
        """Add dead letters to the DLQ, then drop the entries of their jobs. Return where they are."""
        found: list[Placed] = []
        for lane, group in groupby(sorted(letters, key=_entry_lane), _entry_lane):
            for chunk in chunks(list(group)):
                flat = [part for letter, entry in chunk for part in (*_letter_fields(letter), entry.entry_id if entry else "")]
                placed = await self._run("bury", [self.keys.dlq, self.keys.stream(lane)], [self._group, *flat])
                pairs = zip(chunk, placed, strict=True)
                found += [Placed(place.decode(), letter.id, letter.attempts, letter.reason) for (letter, _), place in pairs]
        return found

    async def run_id(self) -> str | None:
        """Which life of the server this is; None where it may not be asked."""
        with translated(), suppress(ResponseError):
            value: str | None = (await self.client.info("server")).get("run_id")
            return value
        return None

    async def promote(self, limit: int = CHUNK) -> tuple[int, float | None]:
        """Move what is due from the ZSET to the streams. Returns how many, and the seconds until the next one is due."""
        lanes = sorted(self.lanes, key=lambda lane: lane != "normal")
        keys = [self.keys.delayed, *map(self.keys.stream, lanes)]
        moved, next_in = await self._run("promote", keys, [limit, *lanes])
        return moved, None if next_in < 0 else next_in / 1000

    async def take_over(self, lane: str, idle_seconds: float, cursor: str) -> tuple[str, list[Entry]]:
        """Take entries that nobody acknowledged for so long from whoever has them. The cursor returned is where to go on, next pass too."""
        with translated():
            reply = await self.client.xautoclaim(
                self.keys.stream(lane), self._group, REAPER, int(idle_seconds * 1000), start_id=cursor, count=100
            )
        return reply[0].decode(), _entries(lane, [item for item in reply[1] if item[0] is not None])

    async def undelivered_ages(self) -> dict[str, float]:
        """By lane the age in seconds of the oldest entry that nobody has read; 0 when all are read.

        Lanes whose newest entry is of the future are left out: Redis's clock was set back, and no age can be told.
        """
        lanes = self.lanes
        ages = await self._run("watermark", [self.keys.stream(lane) for lane in lanes], [self._group])
        return {lane: age / 1000 for lane, age in zip(lanes, ages, strict=True) if age >= 0}

    async def ensure_groups(self) -> None:
        """Make the streams and their consumer groups where they are missing, at id 0: what is in the streams is delivered."""
        for lane in self.lanes:
            try:
                with translated():
                    await self.client.xgroup_create(self.keys.stream(lane), self._group, id="0", mkstream=True)
            except BrokerUnavailableError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def consumers(self) -> set[str]:
        """Names of the consumers in any stream's group."""
        names = set()
        for lane in self.lanes:
            with translated():
                infos = await self.client.xinfo_consumers(self.keys.stream(lane), self._group)
            names |= {info["name"].decode() for info in infos}
        return names

    async def drop_consumer(self, consumer: str) -> bool:
        """Remove a consumer that is gone; False when entries are still pending with it."""
        busy: int = await self._run("drop_consumer", [self.keys.stream(lane) for lane in self.lanes], [self._group, consumer])
        return busy == 0

    async def epoch(self) -> str | None:
        """Return the value that proves that Redis still holds what we put there."""
        with translated():
            value = await self.client.get(self.keys.epoch)
        return value.decode() if value else None

    async def set_epoch(self, epoch: str) -> None:
        """Give Redis a new such value."""
        with translated():
            await self.client.set(self.keys.epoch, epoch)

    async def time(self) -> float:
        """Redis's clock, in Unix seconds."""
        with translated():
            seconds, micros = await self.client.time()
        return float(seconds + micros / 1e6)

    async def clock_note(self) -> str:
        """Return by which clock the ZSET was filled, as `end_filling` noted it; empty if nothing is known."""
        with translated():
            value = await self.client.get(self.keys.clock)
        return (value or b"").decode()

    async def begin_filling(self, found: str, note: str) -> bool:
        """Leave a note, and empty the ZSET if one was found; False when it is not the one that was found any more."""
        return bool(await self._run("refill", [self.keys.delayed, self.keys.clock], [found, note]))

    async def end_filling(self, found: str, note: str) -> bool:
        """Note by which clock it was filled, unless somebody else has begun to fill it since: False."""
        return bool(await self._run("refilled", [self.keys.clock], [found, note]))

    async def restamp(self) -> None:
        """Let what is pending count as delivered just now: by another clock it would be idle for hours, or not for hours."""
        for lane in self.lanes:
            place = "-"
            while place:
                place = (await self._run("restamp", [self.keys.stream(lane)], [self._group, place, CHUNK])).decode()

    async def depths(self) -> dict[str, int]:
        """Return the number of entries in the streams (by priority), `pending` among them, and in `delayed` and `dlq`."""
        by_lane = await self.lane_depths()
        with translated():
            sums = dict.fromkeys(PRIORITIES, 0) | {
                "delayed": await self.client.zcard(self.keys.delayed),
                "dlq": await self.client.xlen(self.keys.dlq),
                "pending": sum(pending for _, pending in by_lane.values()),
            }
        for lane, (length, _) in by_lane.items():
            sums[split_lane(lane)[1]] += length
        return sums

    async def lane_depths(self) -> dict[str, tuple[int, int]]:
        """Return for each lane the number of entries in its stream, and how many of them a worker has."""
        lanes = self.lanes
        with translated():
            async with self.client.pipeline(transaction=False) as pipe:
                for lane in lanes:
                    pipe.xlen(self.keys.stream(lane))
                    pipe.xpending(self.keys.stream(lane), self._group)
                replies = await pipe.execute(raise_on_error=False)
                return {
                    lane: (_checked(length), _pending(pending))
                    for lane, length, pending in zip(lanes, replies[::2], replies[1::2], strict=True)
                }

    async def command(self, *words: str | int) -> Any:
        """Return what Redis answers to any command: for tools and tests."""
        with translated():
            return await self.client.execute_command(*words)

    async def ping(self) -> None:
        """Raise BrokerUnavailableError unless Redis answers."""
        with translated():
            await self.client.ping()

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        source = self._scripts[script]
        with translated():
            try:
                return await self._line.call("EVALSHA", source.sha, len(keys), *keys, *args)
            except NoScriptError:  # a server that has just started
                return await self._line.call("EVAL", source.script, len(keys), *keys, *args)

    async def _postpone(self, stream: str, triples: Sequence[tuple[str, float, str]]) -> None:
        for chunk in chunks(triples):
            flat = [part for name, due_in, entry_id in chunk for part in (name, f"{max(0.0, due_in):.6f}", entry_id)]
            await self._run("postpone", [self.keys.delayed, stream], [self._group, *flat])

    def _by_stream(self, entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
        for lane, group in groupby(sorted(entries), itemgetter(0)):
            yield self.keys.stream(lane), list(group)


def _entries(lane: str, items: Iterable[Any]) -> list[Entry]:
    return [Entry(lane, entry_id.decode(), parse_id((fields or {}).get(b"id"))) for entry_id, fields in items]


def _entry_lane(pair: tuple[Letter, Entry | None]) -> str:
    return pair[1].lane if pair[1] else "normal"


def _checked(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _pending(reply: Any) -> int:
    if isinstance(reply, ResponseError) and "NOGROUP" in str(reply):  # no consumer has ever been here
        return 0
    count: int = _checked(reply)["pending"]
    return count


def _letter_fields(letter: Letter) -> tuple[str | int, ...]:
    return letter.id, letter.type, letter.reason, letter.error[:1000], letter.attempts, letter.dead_at.isoformat()
