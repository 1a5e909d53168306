"""What a consumer and its children say to each other, and how the end of a child is put into words."""

import random
from typing import Any

import msgspec
import pytest

from consumer.processes.messages import MAX_BYTES, Answer, Call, Ended, Hello, RemoteError, Run, encode, length, to_child, to_consumer
from consumer.processes.pool import cpu_count
from consumer.processes.process import how_it_ended
from shared.errors import DatabaseUnavailableError, PermanentFailure, RetryAfter
from shared.jobs import job
from shared.settings import Settings
from tests.unit.test_outcome import claimed


def test_what_is_sent_arrives() -> None:
    """Settings with paths, a whole job, any plain data: the length in front, the same value behind it."""
    for message in (
        Hello(Settings(handlers=("a", "b"))),
        Run(claimed(backoff=b"{}")),
        Answer(1, {"a": [1, None]}),
        Answer(2, error=RemoteError("E", "m", {})),
    ):
        data = encode(message)
        assert length(data[:4]) == len(data) - 4
        assert to_child(data[4:]) == message
    for answer in (Call(1, "id", "method", [1, "two", None]), Ended("Succeeded", [b"null"], False)):
        assert to_consumer(encode(answer)[4:]) == answer


def test_what_is_too_long_or_no_data_is_refused() -> None:
    """Where it is sent, not where it arrives; at the limit it still goes."""
    overhead = len(encode(Answer(1, b""))) + 3 - 4  # bytes of more than 64 KiB have a longer length
    assert len(encode(Answer(1, b"x" * (MAX_BYTES - overhead)))) == MAX_BYTES + 4
    with pytest.raises(ValueError, match="more than a message"):
        encode(Answer(1, b"x" * (MAX_BYTES - overhead + 1)))
    with pytest.raises(TypeError, match="object cannot be sent"):
        encode(Answer(1, object()))
    assert length(MAX_BYTES.to_bytes(4, "big")) == MAX_BYTES
    with pytest.raises(ValueError, match="no message"):
        length((MAX_BYTES + 1).to_bytes(4, "big"))


def test_noise_is_no_message() -> None:
    """Whatever bytes come, reading them ends in the one error that the consumer expects."""
    dice = random.Random(7)
    for size in range(200):
        with pytest.raises(msgspec.DecodeError):
            to_consumer(dice.randbytes(size))


@pytest.mark.parametrize(
    ("error", "kind", "attributes"),
    [
        (PermanentFailure("no"), PermanentFailure, {}),
        (RetryAfter(2.5, "later"), RetryAfter, {"seconds": 2.5}),
        (DatabaseUnavailableError("away", "wait"), DatabaseUnavailableError, {"hint": "wait"}),
        (ValueError("bad"), ValueError, {}),
        (KeyError("k"), KeyError, {}),
        (type("Homemade", (Exception,), {})("x"), RuntimeError, {}),
        (type("print", (Exception,), {})("x"), RuntimeError, {}),
    ],
)
def test_errors_cross_over(error: Exception, kind: type[Exception], attributes: dict[str, Any]) -> None:
    """One of ours or of Python comes back as what it was; any other as a RuntimeError with its name and words."""
    revived = RemoteError.of(error).revive()
    assert type(revived) is kind
    assert str(error) in str(revived)
    assert {name: getattr(revived, name) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "was killed by signal SIGKILL (9); out of memory?"),
        (-15, "was killed by signal SIGTERM (15)"),
        (-63, "was killed by signal of no name (63)"),
    ],
)
def test_an_end_in_words(returncode: int, words: str) -> None:
    """What a person needs to look for."""
    assert how_it_ended(returncode) == words


def test_there_is_always_one_processor() -> None:
    """The default number of children."""
    assert cpu_count() >= 1


@pytest.mark.parametrize(
    ("options", "fits"), [({"memory_mb": 1}, True), ({"memory_mb": 0}, False), ({"memory_mb": 9, "executor": "thread"}, False)]
)
def test_a_memory_limit_wants_a_process(options: dict[str, Any], fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 1 MiB on, and nowhere else: the limit would hit the whole consumer."""
    monkeypatch.setattr("shared.jobs._registered", {})

    def handler(_: Any, __: Any) -> None: ...

    if fits:
        assert job("limited", **{"executor": "process"} | options)(handler) is handler
    else:
        with pytest.raises(ValueError, match="memory_mb"):
            job("limited", **{"executor": "process"} | options)(handler)


def test_a_coroutine_cannot_run_in_a_process() -> None:
    """It is said where it is declared."""

    async def handler(_: Any, __: Any) -> None: ...

    with pytest.raises(ValueError, match="wants a plain function"):
        job("coroutine", executor="process")(handler)
