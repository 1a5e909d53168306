"""A process that does not outlive the one that made it: the kernel ends it with its parent (Linux only)."""

import ctypes
import os

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl = getattr(ctypes.CDLL(None), "prctl", None)  # looked up here, since little is safe between fork and exec


def die_with(parent: int, signum: int) -> None:
    """Have the kernel send us `signum` when the thread of `parent` that made us ends; end at once if it has ended already.

    Call it in the child, after a change of account: that one clears the death signal.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)
