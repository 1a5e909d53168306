"""`.env.example`: every environment variable, commented out, with its meaning and its default."""

from cli.documents.variables import Variable, variables

PATH = ".env.example"

INTRODUCTION = """\
# Generated from shared/settings.py by `make docs`; change it there. `make check` compares.
#
# Every variable with its default. Copy this file to .env and remove the # in front of what you change. `docker compose` reads
# .env by itself; for processes that you start from a shell: set -a; . ./.env; set +a"""


def text() -> str:
    """Return the whole file."""
    return "\n\n".join([INTRODUCTION, *(_paragraph(item) for item in variables())])


def _paragraph(item: Variable) -> str:
    return f"# {item.meaning}\n#{item.name}={item.default}"
