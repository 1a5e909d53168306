"""The mistakes. Each is made inside a process of a chaos run before the service starts; nothing of it is reachable any other way.

Importing this package registers all of them in `MISTAKES`.
"""

from chaos.mutants.mistakes import accepting, callbacks, dispatch, recovery, running, settling
from chaos.mutants.mistakes.mistake import MISTAKES, Mistake

__all__ = ["MISTAKES", "Mistake", "accepting", "callbacks", "dispatch", "recovery", "running", "settling"]
