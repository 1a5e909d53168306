"""What `millstream up` checks before it starts anything, each with one sentence and what to do about it."""

import errno
from pathlib import Path

from shared.embedded.folder import listen_error
from shared.errors import UnavailableError
from shared.settings import Settings, variable


def check_port(settings: Settings) -> None:
    """Nobody may listen on the API's port. Producers share it, so they would not notice a stranger."""
    error = listen_error(settings.host, settings.port)
    if error is None:
        return
    place = f"{settings.host} port {settings.port}"
    if error.errno == errno.EADDRINUSE:
        raise UnavailableError(
            f"Another program listens on {place}.",
            f"Stop it, or choose another port: MILLSTREAM_PORT={settings.port + 1}",
        )
    raise UnavailableError(f"The API cannot listen on {place}: {error.strerror}.", "Set MILLSTREAM_HOST or MILLSTREAM_PORT.")


def check_folder(folder: Path, what: str, name: str) -> None:
    """Make sure that a folder is there and that we can write to it. `name` is the setting that chooses it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UnavailableError(
            f"The {what} folder {folder} cannot be written to: {error.strerror}.",
            f"Choose another one with {variable(name)}.",
        ) from error
