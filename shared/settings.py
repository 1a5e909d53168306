"""Settings come from the environment alone (12-factor), are frozen, and name every problem at once.

Each field below is one variable: `MILLSTREAM_` and the name in capitals, unless `env=` says otherwise. The metadata is also the
source of `.env.example` and `docs/configuration.md`.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.allow_list import AllowList
from shared.errors import ConfigError
from shared.webhooks import secret_key

Parser = Callable[[str], Any]


def _text(raw: str) -> str:
    return raw


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def _numbers_by_name(raw: str, default: int, low: int, high: int) -> tuple[tuple[str, int], ...]:
    pairs = {}
    for word in _words(raw):
        name, given, number = word.partition(":")
        value = int(number) if number.strip().isdigit() else (-1 if given else default)
        if not re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}|\*", name.strip()) or not low <= value <= high:
            raise ValueError(f"{word!r}: must be a queue, a colon and a whole number from {low} to {high}")
        pairs[name.strip()] = value
    return tuple(pairs.items())


def _weights(raw: str) -> tuple[tuple[str, int], ...]:
    return _numbers_by_name(raw, default=1, low=1, high=1000)


def _limits(raw: str) -> tuple[tuple[str, int], ...]:
    return _numbers_by_name(raw, default=-1, low=1, high=10_000)


def _secrets(raw: str) -> tuple[str, ...]:
    secrets = tuple(raw.replace(",", " ").split())
    for secret in secrets:
        secret_key(secret)
    return secrets


def _exceptions(raw: str) -> tuple[str, ...]:
    words = _words(raw)
    AllowList.parse(words)  # raises ValueError
    return words


def _flag(raw: str) -> bool:
    if raw.lower() not in {"0", "1", "true", "false", "yes", "no"}:
        raise ValueError("must be 0 or 1")
    return raw.lower() in {"1", "true", "yes"}


def _integer(low: int, high: int) -> Parser:
    def parse(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}")
        return value

    return parse


def _seconds(low: float, high: float) -> Parser:
    def parse(raw: str) -> float:
        try:
            value = float(raw)
        except ValueError:
            raise ValueError("must be a number of seconds") from None
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g} seconds")
        return value

    return parse


def _one_of(*choices: str) -> Parser:
    def parse(raw: str) -> str:
        if raw.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return raw.lower()

    return parse


def _url(*schemes: str) -> Parser:
    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes:
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        _ = parts.port  # raises ValueError when it is no number
        return raw

    return parse


def _artifacts_url(raw: str) -> str:
    parts = urlsplit(_url("s3", "file")(raw))
    if parts.scheme == "s3" and not parts.netloc:
        raise ValueError("must name a bucket: s3://bucket/prefix")
    if parts.scheme == "file" and (parts.netloc or len(parts.path) < 2):
        raise ValueError("must name a folder with three slashes: file:///folder")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must be no more than a place: keys and endpoint come from AWS_*")
    return raw


def _name(raw: str) -> str:
    if not raw or len(raw) > 100 or any(char.isspace() for char in raw):
        raise ValueError("must be 1 to 100 characters without spaces")
    return raw


def _var(default: Any, parse: Parser, doc: str, *, env: str = "") -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc, "env": env})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What producer, consumer and tools may be told. Build it with `load`, never by hand outside tests."""

    database_url: str = _var(
        "",
        _url("postgres", "postgresql"),
        "PostgreSQL. Unset: the embedded server of `millstream up`.",
        env="DATABASE_URL",
    )
    redis_url: str = _var(
        "",
        _url("redis", "rediss", "unix"),
        "Redis (>= 6.2) or Valkey. Unset: the embedded server of `millstream up`.",
        env="REDIS_URL",
    )
    host: str = _var("127.0.0.1", _text, "Address that the producer binds. Anything but loopback needs API_KEYS or INSECURE.")
    port: int = _var(3000, _integer(1, 65535), "Port that the producer binds; several producers may share it.")
    data_dir: Path = _var(Path(".millstream"), Path, "Where embedded servers keep their data.")
    output_dir: Path = _var(Path("output"), Path, "Where handlers put the files they make.")
    artifacts_url: str = _var(
        "",
        _artifacts_url,
        "Where artifacts are kept: s3://bucket/prefix (with the usual AWS_* variables) or file:///folder. Unset: artifacts in OUTPUT_DIR.",
    )
    max_artifact_bytes: int = _var(64 * 1024**2, _integer(1, 5 * 1024**3), "Bytes that one artifact may have.")
    stream: str = _var("jobs_stream", _name, "Base name of every Redis key.")
    group: str = _var("workers", _name, "Consumer group on the streams.")
    concurrency: int = _var(100, _integer(1, 10_000), "Jobs that one consumer process runs at a time.")
    payload_mb: int = _var(
        256,
        _integer(1, 1_000_000),
        "MB of payloads that one consumer holds at a time, about: when they are large, fewer jobs run at a time.",
    )
    queues: tuple[tuple[str, int], ...] = _var(
        (), _weights, "Queues that a consumer serves, with weights: critical:6,default:3,low:1; * is every other one. Unset: all alike."
    )
    queue_concurrency: tuple[tuple[str, int], ...] = _var(
        (), _limits, "Jobs of a queue that one consumer process runs at a time: reports:2,emails:20. Unset: CONCURRENCY alone counts."
    )
    processes: int = _var(0, _integer(0, 1000), "Child processes of one consumer for handlers with executor='process'; 0: one a CPU.")
    lease_seconds: float = _var(10.0, _seconds(1, 3600), "A worker that has not been heard of for so long is dead.")
    heartbeat_seconds: float = _var(2.0, _seconds(0.1, 600), "How often a worker says that it lives; at most a third of the lease.")
    grace_seconds: float = _var(25.0, _seconds(0, 3600), "After SIGTERM running jobs may finish for so long; the rest is handed back.")
    max_crashes: int = _var(3, _integer(1, 100), "A job that was running when its worker died so many times is dead-lettered.")
    job_timeout_seconds: float = _var(300.0, _seconds(0.05, 86_400), "Time limit of a job that names none, nor does its type.")
    handlers: tuple[str, ...] = _var((), _words, "Comma-separated modules with your own @job handlers; the consumer imports them.")
    reload: bool = _var(False, _flag, "1 restarts the consumers of `millstream up` when a file of HANDLERS changes; for development.")
    test_types: bool = _var(False, _flag, "1 adds the test.* job types, one of which kills its consumer.")
    api_keys: tuple[str, ...] = _var((), _words, "Comma-separated keys; when set, every call but probes needs one as bearer token.")
    insecure: bool = _var(False, _flag, "1 allows to bind a public address without API_KEYS.")
    submit_queue: int = _var(10_000, _integer(1, 1_000_000), "Submitted jobs that may wait for their commit; beyond it: 503.")
    submit_timeout_seconds: float = _var(5.0, _seconds(0.1, 60), "How long a submit waits for PostgreSQL before it answers 503.")
    max_backlog: int = _var(0, _integer(0, 1_000_000_000), "Undelivered jobs at which submits are answered 429; 0: no limit.")
    idempotency_ttl: float = _var(86_400.0, _seconds(1, 31_536_000), "Seconds that an idempotency key is kept.")
    retention_days: float = _var(30.0, _seconds(0.001, 3650), "Days that finished jobs are kept.")
    smtp_url: str = _var(
        "smtp://127.0.0.1:1025",
        _url("smtp", "smtps", "smtp+starttls"),
        "Mail server for email.send, with user:password@ if it wants them.",
    )
    mail_from: str = _var("millstream@localhost", _text, "Sender address of email.send.")
    webhook_secret: tuple[str, ...] = _var(
        (),
        _secrets,
        "Signs webhooks: whsec_ and then 24 to 64 random bytes in base64. Several, comma-separated, while one replaces the other.",
    )
    outgoing_allow: tuple[str, ...] = _var(
        (),
        _exceptions,
        "Comma-separated networks (10.1.0.0/16) and host:port that outgoing requests may reach although they are not public.",
    )
    log_format: str = _var("json", _one_of("json", "console"), "How log lines look.")
    log_level: str = _var("info", _one_of("debug", "info", "warning", "error"), "Log lines below it are dropped.")
    log_file: str = _var("", _text, "Log to this file (rotated at 50 MB, 5 kept) instead of standard output.")


def variable(name: str) -> str:
    """Name of the environment variable behind the field `name`."""
    by_name = {item.name: item.metadata["env"] for item in fields(Settings)}
    return by_name[name] or f"MILLSTREAM_{name.upper()}"


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings from `environ` (default: the process's). `overrides` win over it.

    Raises ConfigError that names every bad variable. An empty variable counts as unset.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(Settings):
        raw = environ.get(variable(item.name), "").strip()
        if raw and item.name not in overrides:
            try:
                values[item.name] = item.metadata["parse"](raw)
            except ValueError as error:
                problems.append(f"{variable(item.name)}={_shown(item.name, raw)}: {error}")
    settings = Settings(**values | overrides)
    problems += _conflicts(settings)
    if problems:
        raise ConfigError(problems)
    return settings


OF_THE_CLIENT = ("MILLSTREAM_URL", "MILLSTREAM_API_KEY")  # read by the commands that talk to the API, see docs/cli.md


def strangers(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that begin like ours and that nothing reads, which are often typing errors."""
    known = {variable(item.name) for item in fields(Settings)} | {"MILLSTREAM_PROBES", *OF_THE_CLIENT}
    return sorted(name for name in environ if name.startswith("MILLSTREAM_") and name not in known)


def _shown(name: str, raw: str) -> str:
    return "***" if name in {"database_url", "redis_url", "smtp_url", "api_keys", "webhook_secret"} else repr(raw)


def _conflicts(settings: Settings) -> list[str]:
    problems = []
    if settings.heartbeat_seconds * 3 > settings.lease_seconds:
        problems.append("MILLSTREAM_HEARTBEAT_SECONDS: must be at most a third of MILLSTREAM_LEASE_SECONDS")
    if not (settings.api_keys or settings.insecure or _is_loopback(settings.host)):
        problems.append(
            f"MILLSTREAM_HOST={settings.host!r}: anyone who reaches it could submit jobs; "
            "set MILLSTREAM_API_KEYS, or MILLSTREAM_INSECURE=1 if something else guards it"
        )
    return problems


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name() -> str:
    """Return this machine's name, as workers show it."""
    return socket.gethostname()
