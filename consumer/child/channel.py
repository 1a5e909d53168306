"""The child's end of the socket: messages, calls that wait for their answer, and what to do when the consumer is gone."""

import itertools
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from consumer.child.interrupts import Interrupts
from consumer.processes.messages import HEADER_BYTES, Answer, Call, Message, Run, Stop, ToChild, encode, length, to_child

LAST_SECONDS = 2.0  # for the interpreter to end by itself when the consumer has closed the socket


class Channel:
    """Messages to and from the consumer. Any thread may send; after `listen` a thread of its own receives.

    A process that a handler forks has no share in it: two speakers on one socket would garble each other.
    """

    def __init__(self, connection: socket.socket, interrupts: Interrupts) -> None:
        self._socket = connection
        self._interrupts = interrupts
        self._owner = os.getpid()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[Answer]] = {}
        self._jobs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._on_stop: Callable[[Stop], None] = lambda _: None
        os.register_at_fork(after_in_child=connection.close)

    def receive(self) -> ToChild | None:
        """Wait for the next message; None when the consumer is gone or has no more use for us. Before `listen` only."""
        try:
            return to_child(self._exactly(length(self._exactly(HEADER_BYTES))))
        except (EOFError, OSError):
            return None

    def send(self, message: Message) -> None:
        """Send it. No request to stop interrupts that in the middle. Raises what `encode` does, and OSError."""
        if os.getpid() != self._owner:
            raise OSError("a process that a handler has forked cannot speak for it")
        data = encode(message)
        with self._interrupts.held_back(), self._sending:
            self._socket.sendall(data)

    def call(self, job_id: str, method: str, *args: Any) -> Any:
        """Have the consumer await that method of the job, and return what it returns. Raises what it raises."""
        number = next(self._numbers)
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._answers[number] = answers
        with self._interrupts.held_back():  # a call that was sent has its effect: nobody shall be left without the answer
            self.send(Call(number, job_id, method, list(args)))
            answer = answers.get()
        if answer.error is not None:
            raise answer.error.revive()
        return answer.value

    def listen(self, on_stop: Callable[[Stop], None]) -> None:
        """Begin to receive in the background; `on_stop` is called there."""
        self._on_stop = on_stop
        threading.Thread(target=self._listen, name="channel", daemon=True).start()

    def next_job(self) -> Run | None:
        """Wait for the next job; None: end."""
        return self._jobs.get()

    def _listen(self) -> None:
        while (message := self.receive()) is not None:
            match message:
                case Run():
                    self._jobs.put(message)
                case Stop():
                    self._on_stop(message)
                case Answer():
                    self._answers.pop(message.number).put(message)
        if self._interrupts.busy:  # the consumer has died: nobody wants the result, and the job will run elsewhere
            os._exit(1)
        self._jobs.put(None)
        time.sleep(LAST_SECONDS)
        os._exit(1)  # a thread of the handler's keeps the interpreter from ending

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return bytes(data)
