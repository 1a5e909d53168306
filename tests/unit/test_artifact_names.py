"""Names of artifacts: what may be one, and that nothing else ever reaches a store."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.artifact import MAX_NAME_BYTES, artifact, content_type, key, safe_name
from shared.artifacts import Artifacts
from shared.errors import ArtifactRefusedError, ConfigError, PermanentFailure
from shared.settings import Settings, load

JOB_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
HOSTILE = [
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\r\nX-Evil: 1",
    "a\x7fb",
    "a\x85b",
    ".htaccess",
    "-rf",
    "~root",
    "report.",
    "report ",
    " report",
    "a:b",
    "a*b",
    "a?b",
    'a"b',
    "a<b>",
    "a|b",
    "a#1",
    "a%2fb",
    "a;b",
    "a&b",
    "$(id)",
    "`id`",
    "\uff0e\uff0e\uff0fetc",  # full-width ../
    "\u2024\u2024/x",  # one dot leaders
    "a\u2215b",  # a slash that is none
    "a\u202egpj.exe",  # right-to-left override
    "a\u200bb",
    "a\ufeffb",
    "a\u2028b",
    "\ud800",
    "e\u0301.pdf",  # not composed
    "\U0001f600.png",
]
GOOD = ["report.pdf", "a", "Rechnung März (2026).pdf", "東京.xlsx", "नमस्ते.txt", "a_b-c+d,e=f@g!'h.tar.gz", "01890a5d.csv"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_for_good(name: str, tmp_path: Path) -> None:
    """Paths, controls, hidden files, wildcards and look-alikes: refused before anything is written, read or removed."""
    artifacts = Artifacts(Settings(output_dir=tmp_path / "output"))
    for act in (lambda: artifacts.put(JOB_ID, name, b"x"), lambda: artifacts.get(JOB_ID, name), lambda: artifacts.delete(JOB_ID, name)):
        with pytest.raises(ArtifactRefusedError):
            act()
    assert not (tmp_path / "output").exists()
    assert issubclass(ArtifactRefusedError, PermanentFailure)


@pytest.mark.parametrize("job_id", ["", "..", "../x", "a" * 36, JOB_ID + "/..", JOB_ID + "\n", "01890a5dac96774bbcceb302099a8057"])
def test_only_an_id_names_a_folder(job_id: str, tmp_path: Path) -> None:
    """What is no job id is refused just so."""
    artifacts = Artifacts(Settings(output_dir=tmp_path / "output"))
    for act in (lambda: artifacts.put(job_id, "a", b"x"), lambda: artifacts.list(job_id)):
        with pytest.raises(ArtifactRefusedError):
            act()
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_kept(name: str, tmp_path: Path) -> None:
    """Names of people's own languages are kept as they are, and lead back to their bytes."""
    artifacts = Artifacts(Settings(output_dir=tmp_path))
    artifacts.put(JOB_ID, name, b"x")
    assert [item.name for item in artifacts.list(JOB_ID)] == [name]
    assert artifacts.get(JOB_ID, name) == b"x"


def test_the_length_from_both_sides() -> None:
    """In bytes, since that is what a file system counts."""
    assert safe_name("a" * MAX_NAME_BYTES)
    assert safe_name("ä" * (MAX_NAME_BYTES // 2))
    for name in ("a" * (MAX_NAME_BYTES + 1), "ä" * (MAX_NAME_BYTES // 2) + "a", "a" * 1_000_000):
        with pytest.raises(ArtifactRefusedError, match="longer"):
            safe_name(name)


@given(st.text(max_size=60))
def test_whatever_passes_is_one_plain_part_of_a_path(name: str) -> None:
    """No text that passes is a path, a control or an invisible character."""
    try:
        safe_name(name)
    except ArtifactRefusedError:
        return
    place = Path("/root") / key(JOB_ID, name)
    assert place.parent == Path("/root") / JOB_ID
    assert place.name == name
    assert not any(unicodedata.category(char).startswith(("C", "Zl", "Zp")) for char in name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", "application/pdf"),
        ("A.PNG", "image/png"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("a.csv", "text/csv; charset=utf-8"),
    ],
)
def test_the_media_type_follows_from_the_name(name: str, expected: str) -> None:
    """What a browser would run has no type of its own."""
    assert content_type(name) == expected


def test_the_url_of_a_reference_is_one() -> None:
    """Spaces and letters beyond ASCII are percent-encoded."""
    assert artifact(JOB_ID, "März 1.pdf", 3).as_dict() == {
        "name": "März 1.pdf",
        "bytes": 3,
        "content_type": "application/pdf",
        "url": f"/jobs/{JOB_ID}/artifacts/M%C3%A4rz%201.pdf",
    }


@pytest.mark.parametrize("url", ["s3://", "http://bucket/x", "file://host/x", "file:///", "s3://key:secret@bucket/x", "s3://b?x=1", "/x"])
def test_a_place_that_cannot_be_is_refused_at_the_start(url: str) -> None:
    """MILLSTREAM_ARTIFACTS_URL names a bucket or a folder, and no secret."""
    with pytest.raises(ConfigError, match="MILLSTREAM_ARTIFACTS_URL"):
        load({"MILLSTREAM_ARTIFACTS_URL": url})
    for good in ("s3://bucket", "s3://bucket/a/b", "file:///var/lib/artifacts"):
        assert load({"MILLSTREAM_ARTIFACTS_URL": good}).artifacts_url == good
