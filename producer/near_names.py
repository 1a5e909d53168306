"""What somebody may have meant who wrote a name that nobody knows."""

import difflib
from collections.abc import Iterable

MOST_NAMES = 3
SIMILAR = 0.5  # difflib's measure; by this much csv.generat still is csv.generate and xyz is nothing


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names, nearest first. Case, dots, hyphens and underscores do not count."""
    plain: dict[str, list[str]] = {}
    for other in sorted(known):
        plain.setdefault(_plain(other), []).append(other)
    near = difflib.get_close_matches(_plain(name), plain, n=MOST_NAMES, cutoff=SIMILAR)
    return [other for key in near for other in _as_written(name, plain[key])][:MOST_NAMES]


def _as_written(name: str, alike: list[str]) -> list[str]:
    """Of names that differ in case and marks only, the one that is written most alike comes first."""
    return sorted(alike, key=lambda other: -difflib.SequenceMatcher(a=name, b=other).ratio())


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
