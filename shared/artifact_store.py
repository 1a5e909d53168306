"""The place where artifacts are kept: a local folder, or a bucket that speaks S3. Opened when the first artifact wants it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shared.errors import ArtifactMissingError, ArtifactsUnavailableError
from shared.settings import Settings

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

__all__ = ["ArtifactStore", "translated"]

REQUEST_TIMEOUT = timedelta(seconds=30)
CONNECT_TIMEOUT = timedelta(seconds=5)
MOST_RETRIES = 3
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class ArtifactStore:
    """Where MILLSTREAM_ARTIFACTS_URL points, by default `artifacts` in the output folder. `folder` is None for S3."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.artifacts_url
        self.folder = _folder(settings)
        self._opened: LocalStore | S3Store | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether `open` returns at once."""
        return self._opened is not None

    def open(self, *, writing: bool = False) -> "LocalStore | S3Store":
        """Return obstore's store. The first call loads the library and blocks for a moment.

        A folder is made by whoever writes first; for those who read, who may not be allowed to, nothing is there until then:
        ArtifactMissingError.
        """
        with self._lock:
            if self._opened is None:
                with translated(str(self.folder or self._url)):
                    self._opened = _s3(self._url) if self.folder is None else _local(self.folder, writing=writing)
            return self._opened


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn obstore's errors into ours: ArtifactMissingError for what is not there, ArtifactsUnavailableError for a store that fails."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - loads a library of 6 MB, which most processes never need

    try:
        yield
    except FileNotFoundError:
        raise ArtifactMissingError(f"there is no artifact {what}") from None
    except (BaseError, OSError) as error:
        # Its messages go on with a dump of internals below the first line.
        sentence = f"the store of artifacts failed at {what}: {str(error).partition(chr(10))[0]}"
        raise ArtifactsUnavailableError(sentence, "check MILLSTREAM_ARTIFACTS_URL, MILLSTREAM_OUTPUT_DIR and AWS_*") from error


def _folder(settings: Settings) -> Path | None:
    if not settings.artifacts_url:
        return settings.output_dir / "artifacts"
    parts = urlsplit(settings.artifacts_url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _local(folder: Path, *, writing: bool) -> "LocalStore":
    from obstore.store import LocalStore  # noqa: PLC0415

    if writing:
        folder.mkdir(parents=True, exist_ok=True)
    elif not folder.exists():
        raise FileNotFoundError(folder)
    return LocalStore(folder)


def _s3(url: str) -> "S3Store":
    """Region, keys and endpoint come from AWS_* in the environment, or from the machine's role."""
    from obstore.store import S3Store  # noqa: PLC0415

    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return S3Store.from_url(
        url,
        config={"endpoint": endpoint} if endpoint else {},
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "timeout": REQUEST_TIMEOUT,
            "connect_timeout": CONNECT_TIMEOUT,
        },
        retry_config={"max_retries": MOST_RETRIES, "retry_timeout": REQUEST_TIMEOUT},
    )
