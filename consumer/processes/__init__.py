"""Handlers in child processes: `@job(..., executor="process")`.

A child (`python -m consumer.child`) is a clean Python process that has imported the handlers itself and runs one job at a time. It never
talks to a store; it has one socket to its consumer:

    consumer    Hello          Run            Answer          Stop
    child              Ready        Line, Call       ...            Ended

Not an executor of concurrent.futures: its whole pool breaks when one process dies, and nothing in it can stop a running call. Not a
fork: a fork of a process with threads, an event loop and connections inherits locks that nobody will release.
"""
