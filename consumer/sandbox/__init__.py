"""Code that meets hostile data (a page, an answer) runs in a child: bounded, with no secrets, and it dies alone."""

from consumer.sandbox.sandbox import Sandbox, SandboxError, SandboxLimitError

__all__ = ["Sandbox", "SandboxError", "SandboxLimitError"]
