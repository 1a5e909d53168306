"""Whether the API answers, and what a person is told once it does."""

import shutil
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from shared.settings import Settings

EXAMPLE = '{"type": "csv.generate", "payload": {"rows": [{"name": "Ada", "city": "London"}]}}'
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is bound there is reached here


def api_url(settings: Settings) -> str:
    """Return where the API is for somebody on this machine."""
    host = _reachable(settings)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def answers(settings: Settings) -> bool:
    """Whether GET /readyz answers 200. Not asked with urllib, which would go through a proxy of the environment."""
    connection = HTTPConnection(_reachable(settings), settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def takes_mail(smtp_url: str) -> bool:
    """Whether somebody listens there."""
    place = urlsplit(smtp_url)
    try:
        with socket.create_connection((place.hostname, place.port or 25), timeout=2):
            return True
    except OSError:
        return False


def announcement(settings: Settings, mail_dir: Path | None) -> str:
    """Say where everything is and how to submit a first job."""
    url, program = api_url(settings), _program()
    key = "-H 'Authorization: Bearer <one of MILLSTREAM_API_KEYS>' " if settings.api_keys else ""
    mail = [f"  Mail of the jobs   {mail_dir}/*.eml"] if mail_dir else []
    return "\n".join(
        [
            "\nmillstream is ready.\n",
            f"  API                {url}",
            *mail,
            f"  psql, redis-cli    {program} env   prints DATABASE_URL and REDIS_URL",
            "  Stop               Ctrl-C",
            "\nSubmit a first job:\n",
            f"  curl -s {url}/jobs {key}-H 'Content-Type: application/json' -d '{EXAMPLE}'\n",
        ]
    )


def _reachable(settings: Settings) -> str:
    return EVERYWHERE.get(settings.host, settings.host)


def _program() -> str:
    """Return how this person can call us: the environment that we are in may not be on their PATH."""
    if shutil.which("millstream"):
        return "millstream"
    program = Path(sys.executable).with_name("millstream")
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)
