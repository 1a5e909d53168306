"""What README.md shows, done as it says: its first call, and its handler."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.folders import reachable_folder
from tests.support.running_up import RunningUp
from tests.support.stack import ROOT

README = (ROOT / "README.md").read_text()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that servers can use whoever runs the tests."""
    with reachable_folder() as path:
        yield path


def first_body() -> dict[str, Any]:
    """Return the body of the first call."""
    [call] = re.findall(r"^\$ (curl -si [^\n]*/jobs [^\n]*\\\n[^\n]*)", README, re.MULTILINE)
    words = shlex.split(call)
    body: dict[str, Any] = msgspec.json.decode(words[words.index("-d") + 1])
    return body


def shown_file() -> str:
    """Return what the README's `cat` prints of the file that this call has made."""
    [text] = re.findall(r"^\$ cat output/\S+\n(.*?)\n\n", README, re.MULTILINE | re.DOTALL)
    return f"{text}\n"


def snippet(name: str) -> str:
    """Return the module that is shown under this name."""
    [code] = re.findall(rf"^```python\n# {re.escape(name)}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_first_call_and_the_handler_do_what_is_shown(folder: Path) -> None:
    """Both jobs complete: one makes the file that is shown, the other is run by the module as it stands there."""
    (folder / "thumbnails.py").write_text(snippet("thumbnails.py"))
    assert "MILLSTREAM_HANDLERS=thumbnails make run\n" in README
    with RunningUp(folder, MILLSTREAM_HANDLERS="thumbnails", PYTHONPATH=str(folder)) as up:
        calls = [first_body(), {"type": "thumbnail", "payload": {"url": "https://example.org/a.png", "width": 200}}]
        table, thumbnail = [up.completed(up.call("/jobs", body)["id"]) for body in calls]
        assert thumbnail["result"] == {"width": 200}
        written = up.output_dir / f"{table['id']}.csv"
        assert written.read_text() == shown_file()
        assert {name: table["result"][name] for name in ("rows", "bytes")} == {"rows": 1, "bytes": written.stat().st_size}
        assert f'"rows":1,"bytes":{written.stat().st_size}, ' in README
