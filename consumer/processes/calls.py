"""Calls of a handler in a child: awaited here, on the remote object of its job."""

from typing import Any

from consumer.processes.messages import Answer, Call, RemoteError, encode
from shared.models import Claimed


async def answer(call: Call, job: Claimed, remote: Any) -> bytes:
    """Await the call and return the message that answers it. Raises nothing."""
    try:
        return encode(Answer(call.number, await _method(call, job, remote)(*call.args)))
    except Exception as error:  # noqa: BLE001 - it is the handler's to deal with
        return encode(Answer(call.number, error=RemoteError.of(error)))


def _method(call: Call, job: Claimed, remote: Any) -> Any:
    if call.job_id != job.id:  # a thread that a handler left behind must not speak for its successor
        raise RuntimeError("the job that called has ended")
    method = None if call.method.startswith("_") else getattr(remote, call.method, None)
    if method is None:
        raise AttributeError(f"a handler in a child process cannot call {call.method!r}")
    return method
