"""Stacks of the profiler: how they are read, and to which stage of a job's life they belong."""

from pathlib import Path

import pytest

from loadtest.profile.folded import Frame, Stack, parse
from loadtest.profile.stages import UNKNOWN, Rule, Table, shares
from loadtest.profile.tables import CONSUMER, LOOP, PRODUCER

ROOT = (
    "_run_module_as_main (<frozen runpy>:198);main (producer/__main__.py:9);run (uvloop/__init__.py:92);Runner.run (asyncio/runners.py:118)"
)
WORKER = "Worker.run (consumer/worker.py:90);Worker._turn (consumer/worker.py:104)"
SETTLER = "Batcher.run (shared/batch.py:44);Settler._settle (consumer/settler.py:69)"
ASYNCPG = "Connection.fetch (asyncpg/connection.py:717);ABCMeta.__instancecheck__ (<frozen abc>:119)"
REDIS = "Redis.execute_command (redis/asyncio/client.py:1);StreamWriter.writelines (asyncio/streams.py:347)"


def one(text: str) -> Stack:
    [stack] = parse([f"{text} 1\n"])
    return stack


def test_a_line_is_frames_and_how_often() -> None:
    """Outermost first, without line numbers; native libraries have none, torn stacks have no frame worth the name."""
    text = ["main (producer/__main__.py:9);<lambda> (<string>:1);write (libc.so.6) 17\n", "\n", " (:0);f (c.py:3) 2\n", "lost 1"]
    assert list(parse(text)) == [
        Stack((Frame("main", "producer/__main__.py"), Frame("<lambda>", "<string>"), Frame("write", "libc.so.6")), 17),
        Stack((Frame("", ""), Frame("f", "c.py")), 2),
        Stack((Frame("lost", ""),), 1),
    ]


def test_a_line_without_a_number_is_refused() -> None:
    """A file that was cut off must not pass for a small one."""
    with pytest.raises(ValueError, match="invalid literal"):
        list(parse(["main (producer/__main__.py:9)\n"]))


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (f"{ROOT};RequestHandler.data_received (aiohttp/web_protocol.py:446)", "HTTP: parse"),
        (f"{ROOT};RequestHandler.start (aiohttp/web_protocol.py:686)", "HTTP: dispatch"),
        (
            f"{ROOT};Application._handle (aiohttp/web_app.py:5);JobsApi.submit (producer/jobs_api.py:87);new_id (shared/ids.py:2)",
            "validation",
        ),
        (f"{ROOT};JobsApi.submit (producer/jobs_api.py:87);Submitter.submit (producer/submit.py:85)", "group commit"),
        (f"{ROOT};Submitter._persist (producer/submit.py:1);JobStore.submit (shared/job_store.py:34);{ASYNCPG}", "insert"),
        (f"{ROOT};Publisher._send (producer/publisher.py:63);Broker.publish (shared/broker.py:1);{REDIS}", "publish"),
        (f"{ROOT};StreamWriter.writelines (asyncio/streams.py:347)", "publish"),
        (f"{ROOT};_Prebuilt.write_eof (producer/accepted.py:50);StreamWriter._write (aiohttp/http_writer.py:1)", "HTTP: answer, write"),
        ("run_app (aiohttp/web.py:1)", LOOP),
        (ROOT, LOOP),
        ("getaddrinfo (socket.py:1)", UNKNOWN),
    ],
)
def test_where_a_producer_is(stack: str, stage: str) -> None:
    """The innermost frame that is known decides, not the outermost, and not a library that was called."""
    assert PRODUCER.stage(one(stack).frames) == stage


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (f"{WORKER};Reader._take (consumer/reader.py:1);Broker.take (shared/broker.py:84);{REDIS}", "read"),
        (f"{WORKER};Worker._begin (consumer/worker.py:1);JobStore.claim (shared/job_store.py:1);{ASYNCPG}", "claim"),
        (
            f"{WORKER};Worker._begin (consumer/worker.py:1);Worker._start_all (consumer/worker.py:2);create_task (asyncio/tasks.py:381)",
            "run",
        ),
        ("Worker._attempt (consumer/worker.py:1);noop (consumer/handlers/test_types.py:1)", "run"),
        ("Worker._attempt (consumer/worker.py:1);Worker._end (consumer/worker.py:2);Batcher.put (shared/batch.py:36)", "settle"),
        (f"{SETTLER};JobStore.succeed (shared/job_store.py:1);{ASYNCPG}", "settle"),
        (f"{SETTLER.replace('_settle', '_ack')};Broker.ack (shared/broker.py:1);{REDIS}", "ack"),
        ("Batcher.run (shared/batch.py:44);Announcer._publish (shared/events.py:71)", "news"),
        (ASYNCPG, "claim or settle"),
        (REDIS, "read or ack"),
        ("Thread.run (threading.py:1);BaseEventLoop._run_once (asyncio/base_events.py:1)", "services"),
    ],
)
def test_where_a_consumer_is(stack: str, stage: str) -> None:
    """Libraries go to who called them; torn off from their callers they are told as what they may be."""
    assert CONSUMER.stage(one(stack).frames) == stage


def test_shares_hide_nothing() -> None:
    """They add up to one, what no rule knows is among them, and the places of a stage add up to its share."""
    table = Table(owners=(Rule("ours", "a.py"), Rule("never", "b.py")), carriers=(Rule("theirs", "lib/"),))
    stacks = parse(["f (a.py:1) 4\n", "f (a.py:1);g (lib/x.py:2) 2\n", "g (lib/x.py:2) 1\n", "h (c.py:1) 1\n"])
    found = shares(table, stacks)
    assert {stage: share.part for stage, share in found.items()} == {"ours": 0.75, "theirs": 0.125, UNKNOWN: 0.125}
    assert found["ours"].places == [("f (a.py)", 0.5), ("g (lib/x.py)", 0.25)]


@pytest.mark.parametrize("table", [PRODUCER, CONSUMER])
def test_every_file_of_ours_that_a_table_names_exists(table: Table) -> None:
    """A file that was renamed would silently fall out of its stage."""
    root = Path(__file__).parents[2]
    ours = [
        rule.file for rule in (*table.owners, *table.carriers) if rule.file.startswith(("producer/", "consumer/", "shared/", "loadtest/"))
    ]
    assert len(ours) > 10
    assert [file for file in ours if not (root / file).exists()] == []
