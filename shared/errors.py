"""Every error that millstream raises on purpose.

MillstreamError
├── ConfigError            a setting is bad; every problem named at once
├── UnavailableError       a store or server cannot be reached or started; says what to do
│   ├── DatabaseUnavailableError
│   ├── BrokerUnavailableError
│   ├── ArtifactsUnavailableError
│   └── EmbeddedUnavailableError
├── ProcessDied            the child process of a handler ended before the handler did; says how
├── Interrupted            raised INSIDE a handler of a child process that shall end now
│   └── SoftTimeout        ... because its time is up
├── ArtifactMissingError   no such artifact (yet)
├── StaleAttemptError      the job is not this attempt's any more; whatever it begins now is refused
└── HandlerSignal          what a handler may raise to steer its job
    ├── PermanentFailure   do not try again
    │   └── ArtifactRefusedError   its name or its size is not allowed
    ├── RetryAfter         try again in so many seconds; counts as a failure
    ├── Snooze             run again in so many seconds; counts nothing
    └── UncertainEffect    raised by ctx.once: nobody knows whether it happened; a person decides
"""

from datetime import datetime


class MillstreamError(Exception):
    """Base of them all."""


class ConfigError(MillstreamError):
    """One or more settings are bad. `problems` holds a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class UnavailableError(MillstreamError):
    """Something that we depend on cannot be reached or started. `hint` says what a person can do about it."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(sentence)


class DatabaseUnavailableError(UnavailableError):
    """PostgreSQL did not answer, or the connection broke. Whether the statement took effect is unknown."""


class BrokerUnavailableError(UnavailableError):
    """Redis did not answer, or the connection broke. Whether the command took effect is unknown."""


class ArtifactsUnavailableError(UnavailableError):
    """The folder or the bucket of artifacts cannot be read or written."""


class EmbeddedUnavailableError(UnavailableError):
    """An embedded server cannot be found or does not start."""


class ProcessDied(MillstreamError):  # noqa: N818 - users read it as the error of their job
    """The child process of a handler ended, or could not begin, before the handler had come to an end. Says how and why."""


class Interrupted(MillstreamError):  # noqa: N818 - a request to a handler, no error of ours
    """Somebody cancelled the job, or its worker ends. A handler may clean up, or return what it has: soon after, its process is killed."""


class SoftTimeout(Interrupted):
    """The job's time is up."""


class ArtifactMissingError(MillstreamError):
    """There is no such artifact. A job that is to make it may still be running, so this is worth another try."""


class StaleAttemptError(MillstreamError):
    """The attempt's time was up, its worker lost the lease or the job was settled: another attempt may own the job by now."""


class HandlerSignal(MillstreamError):  # noqa: N818 - a handler raises it to say what it wants, it is no error of ours
    """What a handler may raise to steer its job."""


class PermanentFailure(HandlerSignal):
    """The job cannot succeed: dead-letter it now, whatever attempts are left."""


class ArtifactRefusedError(PermanentFailure):
    """An artifact's name or size is not allowed, and will not be at the next attempt."""


class RetryAfter(HandlerSignal):
    """Try again in `seconds` (finite, >= 0); counts as a failure."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = seconds
        super().__init__(reason or f"retry after {seconds:g} s")


class Snooze(HandlerSignal):
    """Run again in `seconds` (finite, >= 0); counts as no failure."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"snoozed for {seconds:g} s")


class UncertainEffect(HandlerSignal):
    """An earlier attempt began this effect and never said how it ended. Unless it is caught, the job is dead-lettered for a person."""

    def __init__(self, key: str, attempt: int, began_at: datetime) -> None:
        self.key = key
        self.attempt = attempt
        self.began_at = began_at
        super().__init__(f"whether {key!r} happened is not known: attempt {attempt} began it at {began_at.isoformat()} and did not end it")
