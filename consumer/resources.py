"""What handlers of one worker share: settings, the mail connections, the artifacts, the ways out to other people's servers."""

from collections.abc import Mapping
from typing import Any

from consumer.mailer import Mailer
from consumer.outgoing import Outgoing
from consumer.sandbox.sandbox import Sandbox
from consumer.scraping.robots import Robots
from shared.artifacts import Artifacts
from shared.settings import Settings

SENDERS = 8  # they mostly wait for others, so there are more of them than processors; each takes about 55 MB


class Resources:
    """Made once a process; handlers find them by name in `ctx.resources`."""

    def __init__(self, settings: Settings) -> None:
        self._mailer = Mailer(settings.smtp_url)
        self._outgoing = Outgoing(settings.outgoing_allow)
        self.mapping: Mapping[str, Any] = {
            "settings": settings,
            "mailer": self._mailer,
            "artifacts": Artifacts(settings),
            "outgoing": self._outgoing,
            "robots": Robots(self._outgoing),
            "sandbox": Sandbox(),
            "sending_sandbox": Sandbox(SENDERS),
        }

    async def close(self) -> None:
        """Close what is open."""
        await self._mailer.close()
        await self._outgoing.close()
