"""What a run cannot go on with, and what did not come although it was waited for."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import UnavailableError


class ChaosError(Exception):
    """The service under test does not come up, or refuses the jobs that it was to be tried with. Its text is for a person."""


class StrandedError(Exception):
    """The service does not come back, though all was healed. Its text is for a finding."""


class NotInTimeError(TimeoutError):
    """Something was waited for in vain. `bound` says for how long, and what it was."""

    def __init__(self, seconds: float, what: str) -> None:
        self.bound = f"within {seconds:g} s: {what}"
        super().__init__(f"not {self.bound}")


@contextmanager
def or_else(kind: type[Exception], sentence: str) -> Iterator[None]:
    """Raise `kind` when something does not come in time or a store does not answer; the sentence goes on with what it was."""
    try:
        yield
    except NotInTimeError as error:
        raise kind(f"{sentence} {error.bound}") from error
    except UnavailableError as error:
        raise kind(f"{sentence}: {error}") from error
