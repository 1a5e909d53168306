"""A journal is read while others write it."""

import threading
from pathlib import Path

from chaos.journal import read, size

LINE = b'{"e": "effect", "n": 1}\n'


def test_what_is_there_by_half_is_read_when_all_of_it_is(tmp_path: Path) -> None:
    """From the beginning of the file, and from a place in the middle of a line."""
    file = tmp_path / "recording"
    file.write_bytes(LINE + LINE[:7])
    since = size(file)
    assert ([event["e"] for event in read(file)], [*read(file, since)]) == (["effect"], [])
    with file.open("ab") as more:
        more.write(LINE[7:] + LINE)
    assert (len([*read(file)]), len([*read(file, since)]), len([*read(file, len(LINE))])) == (3, 1, 2)
    assert [*read(tmp_path / "not there")] == []


def test_the_rest_of_a_line_is_never_taken_for_one(tmp_path: Path) -> None:
    """Whoever writes it meanwhile."""
    file = tmp_path / "recording"

    def write() -> None:
        with file.open("ab", buffering=0) as written:
            for _ in range(30_000):
                written.write(LINE[:7])
                written.write(LINE[7:])

    writer = threading.Thread(target=write)
    writer.start()
    looked = 0
    while writer.is_alive():
        looked += sum(event["n"] for event in read(file, max(size(file) - 300, 0)))
    writer.join()
    assert looked > 0
    assert sum(event["n"] for event in read(file)) == 30_000
