"""`docs/configuration.md`: every environment variable."""

from cli.documents.markdown import notice, table
from cli.documents.variables import Variable, variables

PATH = "docs/configuration.md"

INTRODUCTION = """\
Every setting comes from the environment; there is no configuration file. An empty variable counts as unset. All processes read
the same variables and each takes what concerns it. A value that is not understood ends the process at its start with exit code
2, and every problem is named at once, not only the first.

Durations are in seconds and may have a fraction. `.env.example` holds the same list in the form that `docker compose` and shells
read."""


def text() -> str:
    """Return the whole document."""
    return "\n\n".join(
        [
            "# Configuration",
            notice("shared/settings.py"),
            INTRODUCTION,
            table(("variable", "default", "meaning"), (_row(item) for item in variables())),
        ]
    )


def _row(item: Variable) -> tuple[str, ...]:
    return f"`{item.name}`", f"`{item.default}`" if item.default else "unset", item.meaning
