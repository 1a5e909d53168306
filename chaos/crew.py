"""The processes of a run: which of them a fault has for itself, and whoever keeps them alive."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from chaos.journal import Journal
from chaos.member import Member
from shared.settings import Settings

LOOK_SECONDS = 0.05
RESTART_SECONDS = (0.2, 1.5)  # after a death; `millstream up` and systemd take about as long


class Crew:
    """All members, dead ones as well. What happens to them goes to the journal."""

    def __init__(self, journal: Journal, dice: Random) -> None:
        self.journal = journal
        self.dice = dice
        self.members: list[Member] = []
        self.settings = Settings()  # of all of them
        self.deaths: dict[int, int] = {}  # pid -> exit code
        self.troubled_at = 0.0  # when the last of them died, or all was healed
        self._held: set[str] = set()  # names of members that a fault has for itself

    def alive(self, *parts: str) -> list[Member]:
        """Members that run; of these parts, if any are named."""
        return [member for member in self.members if member.alive and (not parts or member.part in parts)]

    def free(self, *parts: str) -> list[Member]:
        """Those of them that nobody holds."""
        return [member for member in self.alive(*parts) if member.name not in self._held]

    def any(self, *parts: str) -> Member:
        """One of them by chance. Raises LookupError when none is there."""
        if not (there := self.free(*parts)):
            raise LookupError(f"no {' or '.join(parts) or 'process'} runs that no other fault has")
        return self.dice.choice(there)

    @contextmanager
    def holding(self, member: Member) -> Iterator[None]:
        """Keep it for one fault: no other is offered it meanwhile."""
        self._held.add(member.name)
        try:
            yield
        finally:
            self._held.discard(member.name)

    async def keep(self) -> None:
        """Start whoever died again, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                for member in self.members:
                    if member.wanted and not member.alive:
                        member.wanted = False
                        self.note_death(member)
                        tasks.create_task(self._restart(member))
                await asyncio.sleep(LOOK_SECONDS)

    def note_death(self, member: Member) -> None:
        """Write down that it ended, and how."""
        if member.pid not in self.deaths and member.returncode is not None:
            self.deaths[member.pid] = member.returncode
            self.troubled_at = time.time()
            by_us = member.was_killed
            self.journal.note("died", member=member.name, part=member.part, pid=member.pid, code=member.returncode, by_us=by_us)

    async def _restart(self, member: Member) -> None:
        await asyncio.sleep(self.dice.uniform(*RESTART_SECONDS))
        self.begin(member)

    def begin(self, member: Member, **extra: str) -> None:
        """Start it, and write that down. Another fault may have started it already."""
        if member.alive:
            return
        member.start(**extra)
        self.journal.note("started", member=member.name, part=member.part, pid=member.pid, home=str(member.home))

    async def restart(self, member: Member, **extra: str) -> int:
        """Let it end in order, and start it again; return its pid."""
        await self.drain(member)
        self.note_death(member)
        self.begin(member, **extra)
        return member.pid

    async def stop_members(self) -> None:
        """Let all processes end in order."""
        await asyncio.gather(*(self.drain(member, 10) for member in self.members))
        for member in self.members:
            self.note_death(member)

    async def drain(self, member: Member, more_seconds: float = 5) -> None:
        """Let it end in order; note it when that takes longer than its grace and so many seconds."""
        self.journal.note("told", member=member.name, pid=member.pid)
        pid, seconds = member.pid, self.settings.grace_seconds + more_seconds
        if not await member.drained(seconds):
            self.journal.note("hung", member=member.name, pid=pid, seconds=seconds)

    def kill_all(self) -> None:
        """End all processes at once."""
        for member in self.members:
            member.wanted = False
            member.kill()
