"""The load test's command line, and the requests that it makes of it."""

import math
from collections import Counter

import orjson
import pytest

from loadtest.http1 import Target
from loadtest.load.engine import TooFewFilesError, allow_files, connection_count
from loadtest.load.options import Options, parse
from loadtest.load.payloads import mixed, turns
from loadtest.load.work import Request, Work


def told(*argv: str, **environment: str) -> Options:
    """Parse with this environment only."""
    return parse(argv, environment)


def bodies(request: Request) -> list[dict[str, object]]:
    """Return the jobs in a request."""
    value = orjson.loads(request.data.partition(b"\r\n\r\n")[2])
    return value if isinstance(value, list) else [value]


def test_without_arguments() -> None:
    """A thousand jobs of test.noop at a time, for ten seconds, against this machine."""
    options = told()
    assert options.target == Target("127.0.0.1", 3000, "")
    assert (options.connections, options.seconds, options.count, options.rate, options.bulk) == (1000, 10.0, None, None, 1)
    assert dict(options.mix) == {"test.noop": 1}
    assert bodies(Work(options).take()) == [{"type": "test.noop", "payload": {}}]


def test_where_and_with_which_key() -> None:
    """As for the CLI; what was once written as .../jobs still works."""
    assert told(MILLSTREAM_PORT="3001").target == Target("127.0.0.1", 3001, "")
    options = told(MILLSTREAM_URL="http://10.0.0.1:8080/api/v1/", MILLSTREAM_API_KEY="from-environment")
    assert options.target == Target("10.0.0.1", 8080, "/api/v1")
    assert b"POST /api/v1/jobs HTTP/1.1\r\n" in Work(options).take().data
    assert b"\r\nAuthorization: Bearer from-environment\r\n" in Work(options).take().data
    assert told("http://h/jobs", MILLSTREAM_URL="http://other").target == Target("h", 80, "")


def test_the_key_is_not_shown() -> None:
    """The command stands in a report that people pass on."""
    assert "secret" not in told("--api-key", "secret", "--count", "5").command
    assert "secret" not in told("--api-key=secret").command


def test_count_alone_has_no_end_in_time() -> None:
    """With both, what comes first."""
    assert (told("--count", "5").seconds, told("--count", "5", "--duration", "2").seconds) == (math.inf, 2.0)


def test_a_bulk_request_takes_the_place_of_so_many_connections() -> None:
    """The number of jobs in flight stays."""
    assert [connection_count(told("--bulk", bulk)) for bulk in ("1", "200", "5000")] == [1000, 5, 1]
    assert connection_count(told("--rate", "10", "--bulk", "200")) == 1000


def test_a_mix_is_spread_evenly() -> None:
    """In each round every type has its weight, and none comes in a lump."""
    assert mixed("a=8,b=2") == {"a": 4, "b": 1}
    assert turns({"a": 4, "b": 1}) == ["a", "a", "b", "a", "a"]


@pytest.mark.parametrize("bulk", [1, 3, 5])
def test_requests_follow_the_mix_and_end_with_the_count(bulk: int) -> None:
    """The last bulk request is smaller; queue and priority are those that were asked for."""
    words = ("--mix", "a=8,b=2", "--bulk", str(bulk), "--count", "50", "--queue", "q", "--priority", "low", "--payload", 'b={"n":1}')
    work = Work(told(*words))
    jobs = []
    while not work.is_done:
        request = work.take()
        assert len(bodies(request)) == request.job_count
        jobs += bodies(request)
    assert Counter(str(job["type"]) for job in jobs) == {"a": 40, "b": 10}
    assert all((job["queue"], job["priority"]) == ("q", "low") for job in jobs)
    assert {str(job["payload"]) for job in jobs} == {"{}", "{'n': 1}"}


def test_payloads_have_the_size_that_was_asked_for() -> None:
    """Exactly, and with text that does not compress."""
    options = told("--payload", '{"to":"a"}', "--payload-bytes", "2000")
    payload = options.payloads["test.noop"]
    assert len(payload) == 2000
    assert orjson.loads(payload)["to"] == "a"
    assert len(set(orjson.loads(payload)["padding"])) > 50


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--rate", "0"), "must be a number above 0"),
        (("--duration", "soon"), "must be a number above 0"),
        (("--count", "0"), "must be a whole number from 1"),
        (("--bulk", "10001"), "must be a whole number from 1 to 10000"),
        (("--mix", "a=0"), "weights are whole numbers"),
        (("--mix", "a=1,a=2"), "weights are whole numbers"),
        (("--mix", "a=1", "--type", "b"), "not allowed with"),
        (("--type", "a b"), "a type has no blank"),
        (("--payload", "[1]"), "a payload is a JSON object"),
        (("--payload", "{"), "--payload"),
        (("--mix", "a=1,b=1", "--payload", "{}"), "write TYPE=JSON"),
        (("--payload-bytes", "5"), "bytes with an empty padding"),
        (("--api-key", "schlüssel"), "visible ASCII"),
        (("https://127.0.0.1",), "must be http"),
        (("--report", "/nowhere/load.html"), "/nowhere/load.html cannot be written"),
        (("--json", "/"), "/ cannot be written"),
        (("http://127.0.0.1:port",), "http://127.0.0.1:port"),
    ],
)
def test_what_cannot_be_is_said(argv: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a sentence, before anything is sent."""
    with pytest.raises(SystemExit) as ended:
        told(*argv)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_bulk_request_has_to_fit() -> None:
    """What the API would refuse a thousand times is refused once, here."""
    with pytest.raises(ValueError, match="16 MiB"):
        Work(told("--bulk", "100", "--payload-bytes", "500000"))


def test_too_many_connections_are_said_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hard limit is not ours to raise."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 512))
    with pytest.raises(TooFewFilesError, match="ulimit -n"):
        allow_files(1000)
    allow_files(100)
