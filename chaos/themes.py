"""Which faults go together in a segment, and what a campaign aims at."""

from collections.abc import Mapping, Sequence

from chaos.faults import FAULTS

THEMES: Mapping[str, Sequence[str]] = {
    "kills": [name for name, fault in FAULTS.items() if fault.kind == "SIGKILL"],
    "redis": [name for name in FAULTS if name.startswith("redis.")],
    "postgres": [name for name in FAULTS if name.startswith("postgres.")],
    "network": [name for name in FAULTS if name.startswith("network.")],
    "freezes": [name for name, fault in FAULTS.items() if fault.kind == "SIGSTOP" and name != "consumer.freeze.long"],
    "handlers": [name for name in FAULTS if name.startswith("handler.")],
    "upgrade": ["upgrade.rolling", "clock.off"],
    "all": [name for name in FAULTS if name != "consumer.freeze.long"],
    "crashes": ["consumer.kill"],  # one at a time: what a crash costs when nothing else is broken
    "a minute": ["consumer.freeze.long"],
}
HANDS: Mapping[str, int] = {"crashes": 1}
# Seconds between two faults. A poison job takes three workers with it: more of them than that would be a test of restarts alone.
PAUSES: Mapping[str, tuple[float, float]] = {"handlers": (1.0, 4.0), "crashes": (20.0, 25.0)}
USUAL = ("kills", "redis", "postgres", "network", "freezes", "handlers", "upgrade", "crashes", "a minute", "all")
KINDS = tuple(dict.fromkeys(fault.kind for fault in FAULTS.values()))


def theme_for(kind: str) -> str:
    """Return the theme that strikes most with faults of this kind."""
    return max(USUAL[:-1], key=lambda theme: sum(FAULTS[name].kind == kind for name in THEMES[theme]) / len(THEMES[theme]))
