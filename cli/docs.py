"""`millstream docs`: write the documents that follow from the code; with --check only tell whether they do. For developers."""

import argparse
import difflib
from pathlib import Path
from typing import Any

from cli.documents import configuration, env_example, lifecycle
from shared.errors import MillstreamError

DOCUMENTS = (lifecycle, configuration, env_example)
ROOT = Path(__file__).resolve().parent.parent


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("docs", help="write the generated documents of this source tree")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when one is not up to date")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write or compare; 1 when a compared one is not up to date."""
    return check(ROOT) if args.check else write(ROOT)


def documents() -> dict[str, str]:
    """Return the text of each document by its path."""
    return {document.PATH: f"{document.text()}\n" for document in DOCUMENTS}


def write(root: Path) -> int:
    """Bring those under `root` up to date and name what was changed."""
    if not (root / "pyproject.toml").is_file():
        raise MillstreamError(f"the documents belong to the source tree, and {root} is none")
    for path, wanted in documents().items():
        if _present(root / path) != wanted:
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(wanted, encoding="utf-8")
            print(f"millstream: wrote {path}")
    return 0


def check(root: Path) -> int:
    """Show what is not up to date as a unified diff, and how to mend it."""
    stale = [path for path, wanted in documents().items() if _present(root / path) != wanted]
    for path in stale:
        print("".join(_difference(path, _present(root / path), documents()[path])), end="")
    if stale:
        print(f"millstream: not up to date: {', '.join(stale)}. Mend it with: make docs (that is python -m cli docs)")
    return 1 if stale else 0


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _difference(path: str, present: str, wanted: str) -> list[str]:
    lines = difflib.unified_diff(present.splitlines(), wanted.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
    return [f"{line}\n" for line in lines]
