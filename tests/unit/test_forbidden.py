"""Traps that are kept shut by leaving something out: no file of ours may hold it."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "producer", "consumer", "cli", "chaos", "loadtest")
PEERS = ROOT / "loadtest"  # a benchmark may drive other systems as those want it


def code(*packages: str, kinds: Iterable[str] = (".py", ".sql", ".lua")) -> dict[str, str]:
    """Return the code of these packages by path, without comments and docstrings."""
    files = [path for package in packages for path in (ROOT / package).rglob("*") if path.suffix in set(kinds)]
    return {str(path.relative_to(ROOT)): _without_words(path) for path in files}


def _without_words(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return re.sub(r'^\s*r?"""[\s\S]*?"""\s*$|(^|\s)#.*', "", text, flags=re.MULTILINE)
    return re.sub(r"--.*", "", text)


def holders(pattern: str, files: dict[str, str]) -> list[str]:
    """Return the files that hold the pattern as a word of its own, in whatever case."""
    return [name for name, text in files.items() if re.search(rf"(?<![A-Za-z_])(?:{pattern})(?![A-Za-z])", text, re.IGNORECASE)]


MISTAKES = "chaos/mutants/"  # what is forbidden, made on purpose in processes of the chaos suite
REDIS = {"shared/broker.py", "shared/letter_stream.py", "shared/redis_client.py", "shared/events.py", "shared/line.py"}
OURS = {name: text for name, text in code("shared", "producer", "consumer", "cli", "chaos").items() if not name.startswith(MISTAKES)}
SERVICE = {name: text for name, text in OURS.items() if name.endswith(".py") and not name.startswith("chaos/")}
DISPATCH = {name: text for name, text in OURS.items() if name.startswith("shared/lua/") or name in REDIS}

FORBIDDEN = {
    "maxlen|minid|xtrim": "trimming deletes entries that nobody has processed",
    "notify|listen|pg_notify|add_listener": "NOTIFY takes a lock of the whole cluster at every commit",
    "pg_(try_)?advisory_(lock|unlock)(_shared|_all)?": "pgbouncer would hand a session's lock to a stranger",
    "xclaim": "a stale worker could steal an entry back; XAUTOCLAIM with its idle time cannot",
    "noack": "an entry that is delivered without a pending list is lost with its worker",
    "clock_timestamp|timeofday|localtimestamp": "a row's times are those of its transaction: now()",
}
# The caller's transaction may have been open for an hour when it submits: the times of its job are those of the call. And the chaos suite's
# log of moves is about what was when.
MAY_LOOK_AT_THE_CLOCK = {"shared/sql/migrations/0005_callbacks.sql", "chaos/moves.sql"}
MAY_CLAIM = {"shared/lua/restamp.lua"}  # it leaves each entry where it is
TOO_NEW = "xackdel|xdelex|idmp|idmpauto|xcfgset|hexpire|hsetex|xreadgroup_claim|keepref|delref|acked"  # Redis 7.4 to 8.x


def test_the_search_finds_what_it_should() -> None:
    """A test of absence that looks at nothing would always pass."""
    assert len(OURS) > 50
    assert {"shared/broker.py", "shared/lua/take.lua", "shared/sql/jobs.sql"} <= OURS.keys()
    assert holders("xautoclaim", DISPATCH) == ["shared/broker.py"]
    assert "shared/lua/ack.lua" in holders("xdel", DISPATCH)


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_what_is_dangerous_is_not_used(pattern: str) -> None:
    """See the reason beside each."""
    files = OURS if "listen" not in pattern else {name: text for name, text in OURS.items() if name.startswith("shared/")}
    found = [name for name in holders(pattern, files) if "embedded" not in name]
    if pattern.startswith("clock_timestamp"):
        assert set(found) >= MAY_LOOK_AT_THE_CLOCK
        found = [name for name in found if name not in MAY_LOOK_AT_THE_CLOCK]
    if pattern == "xclaim":
        assert set(found) >= MAY_CLAIM
        found = [name for name in found if name not in MAY_CLAIM]
    assert found == [], FORBIDDEN[pattern]


def test_redis_6_2_knows_every_command() -> None:
    """Valkey and old Redis must work: nothing that came later, in commands or in options."""
    assert holders(TOO_NEW, DISPATCH) == []
    readgroup = [text for text in DISPATCH.values() if re.search("xreadgroup", text, re.IGNORECASE)]
    assert readgroup
    assert not [text for text in readgroup if re.search(r"'CLAIM'|claim_min_idle|\bclaim=", text)]


def test_every_script_names_its_keys() -> None:
    """Redis Cluster refuses a script that makes up a key: all come through KEYS."""
    for name, text in DISPATCH.items():
        if name.endswith(".lua"):
            calls = re.findall(r"redis\.p?call\('(\w+)'(?:, '(?:GROUPS|DELCONSUMER|GROUP)')?, ([^,)]+)", text)
            keys = {key for command, key in calls if command not in {"TIME", "XREADGROUP"}}
            assert keys <= {"KEYS[1]", "KEYS[2]", "stream", "key"}, name


def test_every_blocking_read_goes_through_one_method() -> None:
    """Nobody else may block, and nobody may cancel it: only the worker's loop calls it, and awaits it plainly."""
    assert holders("xreadgroup|xread", SERVICE) == ["shared/broker.py"]
    callers = [name for name, text in OURS.items() if re.search(r"_waiting\.(wait|take)\(", text)]
    assert callers == ["consumer/reader.py"]
    path = OURS["consumer/reader.py"] + OURS["consumer/worker.py"]
    assert not re.search(r"asyncio\.wait_for|create_task\(self\._(turn|reader)|asyncio\.timeout\([^)]*\):\s+[^\n]*(\.read|_turn)\(", path)


def test_time_is_told_by_the_servers() -> None:
    """Whoever decides about jobs, leases or delays never looks at this machine's calendar; a monotonic clock measures spans only."""
    deciding = {name: text for name, text in OURS.items() if name.startswith("consumer/") and "/handlers/" not in name}
    stores = {f"shared/{name}.py" for name in ("job_store", "lease_store", "broker", "schedule_store", "tick_store", "timetable")}
    deciding |= {name: text for name, text in OURS.items() if name in stores}
    looking = holders(r"datetime\.now|datetime\.utcnow|time\.time|time_ns", deciding)
    assert looking == ["consumer/triage.py"], "a letter about a stranger's entry, which PostgreSQL has no row for"


def test_every_batch_of_ids_is_sorted() -> None:
    """Rows locked in one order cannot deadlock: no method hands its arguments on as they came."""
    text = OURS["shared/job_store.py"]
    calls = re.findall(r"fetch\(SQL\[[^\]]+\], (\w+)", text)
    assert calls
    assert set(calls) <= {"sorted", "ids", "job_id", "keys", "_rows"}, "keys are only read"
    assert "_encode(sorted(jobs" in text, "_rows sorts"
    assert len(re.findall(r"zip\(\*sorted\(", text)) == len(re.findall(r"zip\(\*", text))
