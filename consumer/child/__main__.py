"""`python -m consumer.child SOCKET PARENT`: import the handlers, then run the jobs that come through the socket."""

import faulthandler
import os
import signal
import socket
import sys
from types import MappingProxyType

from consumer import registry
from consumer.child import memory
from consumer.child.channel import Channel
from consumer.child.interrupts import Interrupts
from consumer.child.runner import Runner
from consumer.child.shipping import ship_logs
from consumer.processes.messages import Hello, Ready, Unfit
from shared.errors import ConfigError
from shared.parent_death import die_with
from shared.process import EX_USAGE


def main() -> None:
    """Serve the consumer whose process id and socket the arguments name."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent, signal.SIGKILL)
    os.set_inheritable(descriptor, False)
    memory.offer_as_victim()
    faulthandler.enable()  # says where a segmentation fault was
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    interrupts = Interrupts()
    channel = Channel(socket.socket(fileno=descriptor), interrupts)
    hello = channel.receive()
    if isinstance(hello, Hello):
        _serve(hello, channel, interrupts)


def _serve(hello: Hello, channel: Channel, interrupts: Interrupts) -> None:
    ship_logs(hello.settings, channel)
    try:
        handlers = registry.load(hello.settings).handlers
    except ConfigError as error:
        channel.send(Unfit(error.problems))
        sys.exit(EX_USAGE)
    runner = Runner(channel, interrupts, handlers, MappingProxyType({"settings": hello.settings}))
    channel.listen(runner.on_stop)
    channel.send(Ready())
    runner.run()


if __name__ == "__main__":
    main()
