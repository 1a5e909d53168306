"""What the processes of a run are told: by the suite, by the user, by nobody."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.recorder import SOCKET_VARIABLE

INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")
DEFAULTS = {"MILLSTREAM_TEST_TYPES": "1", "MILLSTREAM_PROCESSES": "2", "MILLSTREAM_LOG_LEVEL": "info"}
OF_OUR_JOBS = {"MILLSTREAM_GRACE_SECONDS": "5", "MILLSTREAM_CONCURRENCY": "50", "MILLSTREAM_JOB_TIMEOUT_SECONDS": "20"}  # they are short
OWN = (
    "DATABASE_URL",
    "REDIS_URL",
    "MILLSTREAM_HOST",
    "MILLSTREAM_PORT",
    "MILLSTREAM_HANDLERS",
    "MILLSTREAM_OUTPUT_DIR",
    "MILLSTREAM_DATA_DIR",
    "MILLSTREAM_WEBHOOK_SECRET",
    SOCKET_VARIABLE,
)
READ = ("MILLSTREAM_LOG_FILE", "MILLSTREAM_LOG_FORMAT")  # logs are
RESERVED = (*OWN, *READ, "MILLSTREAM_PROBES", "MILLSTREAM_API_KEYS")  # for faults; our client has no key
ALLOW = "MILLSTREAM_OUTGOING_ALLOW"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()  # signs to a receiver that does not look


def environment(own: Mapping[str, str], chosen: Mapping[str, str], receiver: str, handlers: Sequence[str]) -> dict[str, str]:
    """Return all that a process is told. `own` is what nobody else has a say in, `receiver` the address that webhooks go to.

    Without `handlers` of the user the limits are those of our own jobs.
    """
    defaults = DEFAULTS if handlers else DEFAULTS | OF_OUR_JOBS
    allowed = {ALLOW: ",".join(filter(None, [receiver, chosen.get(ALLOW, "")]))}
    return _inherited() | defaults | dict(chosen) | dict(own) | allowed


def _inherited() -> dict[str, str]:
    """Paths are made absolute: a process may start elsewhere."""
    given = {name: os.environ[name] for name in INHERITED if name in os.environ}
    folders = [*filter(None, given.get("PYTHONPATH", "").split(os.pathsep)), "."]
    return given | {"PYTHONPATH": os.pathsep.join(str(Path(folder).resolve()) for folder in folders)}
