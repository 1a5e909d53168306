"""Where the built-in handlers run that keep a processor busy for seconds: said once for all of them."""

from shared.jobs import Executor

EXECUTOR: Executor = "thread"
