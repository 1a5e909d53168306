"""What an artifact is: a file that a job made, named by the job's id and a name that is safe everywhere. Pure."""

import unicodedata
from typing import Any
from urllib.parse import quote

import msgspec

from shared.errors import ArtifactRefusedError
from shared.ids import parse_id

__all__ = ["MAX_NAME_BYTES", "Artifact", "artifact", "content_type", "key", "safe_name"]

MAX_NAME_BYTES = 200  # a file system takes 255, and an unfinished file's name has a suffix
_PUNCTUATION = frozenset(" !'()+,-.=@_~")  # neither separators nor wildcards, no shell and no HTML, nothing that a URL or S3 cuts off
_DEFAULT_TYPE = "application/octet-stream"

# A table of our own: what the machine's /etc/mime.types says must not decide what a browser does with a file.
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}


class Artifact(msgspec.Struct, frozen=True):
    """A reference to an artifact, as it stands in a job's result."""

    name: str
    bytes: int
    content_type: str
    url: str  # path below the API's address

    def as_dict(self) -> dict[str, Any]:
        """Return it as the JSON object that it becomes."""
        return msgspec.structs.asdict(self)


def artifact(job_id: str, name: str, size: int) -> Artifact:
    """Return the reference to that artifact."""
    return Artifact(name, size, content_type(name), f"/jobs/{job_id}/artifacts/{quote(name)}")


def content_type(name: str) -> str:
    """Return the media type that belongs to the name's ending; a local folder could not keep another."""
    return _TYPES.get(name.rpartition(".")[2].lower(), _DEFAULT_TYPE) if "." in name else _DEFAULT_TYPE


def key(job_id: str, name: str) -> str:
    """Return where the artifact is in the store. Raises ArtifactRefusedError for what can be no id or no name."""
    canonical = parse_id(job_id)
    if canonical is None:
        raise ArtifactRefusedError(f"{job_id[:50]!r} is no job id")
    return f"{canonical}/{safe_name(name)}"


def safe_name(name: str) -> str:
    """Return `name` if it may name an artifact: letters, marks and digits of any script, spaces and a few signs.

    Raises ArtifactRefusedError for everything that has ever been a path, a control character, a hidden file or a look-alike of those.
    """
    if problem := _problem(name):
        raise ArtifactRefusedError(f"{name[:100]!r} is no name for an artifact: {problem}")
    return name


def _problem(name: str) -> str:
    if not name or name != name.strip(" ") or name.startswith((".", "-", "~")) or name.endswith("."):
        return "it is empty, begins with a dot, a dash or a tilde, ends in a dot, or has a space at either end"
    if strange := next((char for char in name if not _is_harmless(char)), ""):
        return f"{strange!a} is not allowed; letters, digits, spaces and {''.join(sorted(_PUNCTUATION)).strip()} are"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is longer than {MAX_NAME_BYTES} bytes"
    if unicodedata.normalize("NFC", name) != name:
        return "it is not in Unicode's form NFC, so that some file systems would change it"
    return ""


def _is_harmless(char: str) -> bool:
    return char in _PUNCTUATION or unicodedata.category(char)[0] in "LMN"
