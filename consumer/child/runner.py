"""Runs one job after the other in the main thread, and says what becomes of each."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from consumer.child import memory
from consumer.child.channel import Channel
from consumer.child.context import ChildContext
from consumer.child.interrupts import Interrupts
from consumer.outcome import Outcome, Raised, Returned, decide
from consumer.processes.messages import Ended, Stop
from shared.errors import Interrupted, PermanentFailure, SoftTimeout
from shared.jobs import Handler
from shared.models import Claimed

JOBS_PER_CHILD = 100  # handlers leak: a process that starts anew now and then keeps that bounded, for about 5 ms a job


class Runner:
    """The main thread's work."""

    def __init__(self, channel: Channel, interrupts: Interrupts, handlers: Mapping[str, Handler], resources: Mapping[str, Any]) -> None:
        self._channel = channel
        self._interrupts = interrupts
        self._handlers = handlers
        self._resources = resources
        self._context: ChildContext | None = None
        self._jobs_count = 0
        self._first_peak = memory.peak()
        self._pid = os.getpid()

    def run(self) -> None:
        """Run jobs until the consumer has no more."""
        while (message := self._channel.next_job()) is not None:
            outcome = self._outcome(message.job)
            if os.getpid() != self._pid:
                os._exit(0)  # the handler forked, and its copy returned as well
            self._jobs_count += 1
            _flush()
            kind = "" if outcome is None else type(outcome).__name__
            self._channel.send(Ended(kind, list(outcome or ()), self._is_tired()))

    def on_stop(self, message: Stop) -> None:
        """Raise in the handler what the consumer asks for. Called from the thread that listens."""
        if self._context is not None and self._context.job_id == message.job_id:
            self._context.cancelled = True
        request = SoftTimeout("the time of the job is up") if message.timed_out else Interrupted("the job shall end")
        self._interrupts.ask(message.job_id, request)

    def _outcome(self, job: Claimed) -> Outcome | None:
        """Run the handler and decide, here, so that whatever its result and its errors hold strikes nobody else. None: it gave in."""
        try:
            return decide(job, Returned(self._returned(job)))
        except Interrupted as error:
            return None if self._interrupts.has_struck else decide(job, Raised(error))
        except BaseException as error:  # noqa: BLE001 - SystemExit of a handler is one of its failures
            return decide(job, Raised(error))

    def _returned(self, job: Claimed) -> Any:
        handler = self._handlers.get(job.type)
        if handler is None:
            raise PermanentFailure(f"the child process knows no handler for {job.type!r}")
        payload = handler.decoded(job.payload)
        context: Any = ChildContext(job, self._resources, partial(self._channel.call, job.id))
        self._context = context
        with self._interrupts.open_for(job.id), memory.limited(handler.memory_mb):
            return handler.function(context, payload)

    def _is_tired(self) -> bool:
        return self._interrupts.has_struck or self._jobs_count >= JOBS_PER_CHILD or memory.peak() - self._first_peak > memory.MUCH


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # closed or replaced by the handler
            stream.flush()
