"""Which faults go together in a segment, and what a campaign aims at."""

from collections.abc import Mapping, Sequence

from chaos.faults import FAULTS
from chaos.injector import PAUSE_SECONDS

MINUTES = [name for name in FAULTS if name.endswith("freeze.long")]
THEMES: Mapping[str, Sequence[str]] = {
    "kills": [name for name, fault in FAULTS.items() if fault.kind == "SIGKILL"],
    "redis": [name for name in FAULTS if name.startswith("redis.")],
    "postgres": [name for name in FAULTS if name.startswith("postgres.")],
    "network": [name for name in FAULTS if name.startswith("network.")],
    "freezes": [name for name, fault in FAULTS.items() if fault.kind == "SIGSTOP" and name not in MINUTES],
    "handlers": [name for name in FAULTS if name.startswith("handler.")],
    "upgrade": [name for name, fault in FAULTS.items() if fault.kind in {"upgrade", "clock"}],
    "all": [name for name in FAULTS if name not in MINUTES],
    "crashes": ["consumer.kill"],  # one at a time: what a crash costs when nothing else is broken
    "minutes": MINUTES,
    "alone": list(FAULTS),  # one after the other: what each costs when nothing else is broken
}
HANDS: Mapping[str, int] = {"crashes": 1, "alone": 1, "freezes": 4, "minutes": 3, "upgrade": 3}  # freezes and restarts take long
# Seconds between two faults. A poison job takes three workers with it: more of them than that would be a test of restarts alone.
PAUSES: Mapping[str, tuple[float, float]] = {"handlers": (1.0, 4.0), "crashes": (20.0, 25.0), "alone": (11.0, 12.0)}
# In which faults begin: two rounds of a minute; a segment of single faults is one round of as many as there is time for.
LEAST_SECONDS: Mapping[str, float] = {"minutes": 80.0, "alone": 300.0}
ROUND = 18
USUAL = ("kills", "redis", "postgres", "network", "freezes", "handlers", "upgrade", "crashes", "minutes", "all")
QUICK = ("kills", "redis", "postgres", "network", "freezes", "handlers", "upgrade", "all")  # of a short run, two in each segment
KINDS = tuple(dict.fromkeys(fault.kind for fault in FAULTS.values()))


def faults_of(themes: Sequence[str], struck: Mapping[str, int]) -> Sequence[str]:
    """Return their faults; of those that strike alone the ones that did so least, as many as one segment has time for."""
    names = [name for theme in themes for name in THEMES[theme]]
    return sorted(names, key=lambda name: struck.get(name, 0))[:ROUND] if "alone" in themes else names


def theme_for(kind: str) -> str:
    """Return the theme that strikes most with faults of this kind."""
    return max(USUAL[:-1], key=lambda theme: sum(FAULTS[name].kind == kind for name in THEMES[theme]) / len(THEMES[theme]))


def hands_for(themes: Sequence[str], processes: int) -> int:
    """How many faults there are at a time, at most: of some servers there is but one at a time, so several themes need more hands.

    A kill or a freeze has its process for itself, and half of them are left to work.
    """
    if len(themes) == 1:
        return max(2, processes // 2) if themes[0] == "kills" else HANDS.get(themes[0], 2)
    return max(2 * len(themes), processes // 2)


def pause_for(themes: Sequence[str]) -> tuple[float, float]:
    """Seconds between two faults of a hand; among those of other themes none comes so often that it wants a pause of its own."""
    return PAUSES.get(themes[0], PAUSE_SECONDS) if len(themes) == 1 else PAUSE_SECONDS
