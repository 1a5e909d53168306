"""Each invariant of the chaos suite against a history that is sound, and against one that breaks just that."""

from collections.abc import Callable

import pytest

from chaos.checks import INVARIANTS, check, due, judge, runs, speed, stores
from chaos.history import EVERYONE, History, Moved, Replay, Request, Row, Run, Strike, Tried, pid_of
from chaos.limit import NO_LIMIT

ONE, TWO = "machine:11:a", "machine:12:b"  # workers
JOB = "job"


def row(
    job: str = JOB, *, n: int = 1, status: str = "COMPLETED", attempts: int = 1, worker: str = ONE, times: int = 0, proof: str = "t1"
) -> Row:
    """A job of ours."""
    payload = {"n": n, "times": times}
    result = {"token": proof} if status == "COMPLETED" else None
    return Row(job, "chaos.work", status, attempts, 0, 0, 4, worker, None, payload, result, None, None, 100.0, 101.0)


def sound() -> History:
    """One job, sent at 100, run from 100.1 to 100.5."""
    history = History()
    history.requests.append(Request(100.0, [1], None, 100.05, 202, [JOB]))
    history.rows[JOB] = row()
    history.moves[JOB] = [
        Moved(JOB, 100.04, None, "PENDING", None, 0, None, None),
        Moved(JOB, 100.1, "PENDING", "PROCESSING", 0, 1, None, "l1"),
        Moved(JOB, 100.6, "PROCESSING", "COMPLETED", 1, 1, "l1", None),
    ]
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1, 100.5, "returned")]
    history.effects[JOB, 1].add("t1")
    history.settled[JOB] = 100.6
    history.leases = {"l1": ONE, "l2": TWO}
    history.births = {11: (50.0, "consumer"), 12: (50.0, "consumer")}
    return history


def taken_over() -> History:
    """The job's first worker was killed at 105; it ran again at 115."""
    history = sound()
    history.rows[JOB] = row(attempts=2, worker=TWO, proof="t2")
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.1, 114.0, "lost", "its worker died")]
    history.moves[JOB] = [
        Moved(JOB, 100.04, None, "PENDING", None, 0, None, None),
        Moved(JOB, 100.1, "PENDING", "PROCESSING", 0, 1, None, "l1"),
        Moved(JOB, 114.0, "PROCESSING", "PENDING", 1, 1, "l1", None),
        Moved(JOB, 115.0, "PENDING", "PROCESSING", 1, 2, None, "l2"),
        Moved(JOB, 116.0, "PROCESSING", "COMPLETED", 2, 2, "l2", None),
    ]
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1), Run(JOB, 2, TWO, 115.0, 115.9, "returned")]
    history.effects[JOB, 2].add("t2")
    history.settled[JOB] = 116.0
    history.deaths[11] = (105.0, -9)
    history.killed.add(11)
    return history


def retried() -> History:
    """The job failed at 100.5, as it was asked to, and ran again at 102.6."""
    history = sound()
    history.rows[JOB] = row(attempts=2, times=1, proof="t2")
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.1, 100.55, "failed", "as asked")]
    history.moves[JOB] = [
        Moved(JOB, 100.04, None, "PENDING", None, 0, None, None),
        Moved(JOB, 100.1, "PENDING", "PROCESSING", 0, 1, None, "l1"),
        Moved(JOB, 100.55, "PROCESSING", "RETRYING", 1, 1, "l1", None),
        Moved(JOB, 102.6, "RETRYING", "PROCESSING", 1, 2, None, "l1"),
        Moved(JOB, 102.8, "PROCESSING", "COMPLETED", 2, 2, "l1", None),
    ]
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1, 100.5, "raised"), Run(JOB, 2, ONE, 102.6, 102.7, "returned")]
    history.effects[JOB, 2].add("t2")
    history.settled[JOB] = 102.8
    return history


@pytest.mark.parametrize("history", [sound, taken_over, retried])
def test_sound_histories_have_no_findings(history: Callable[[], History]) -> None:
    """A plain job, one that was taken over, one that was retried."""
    assert check(history()) == []


def lost(history: History) -> None:
    """1."""
    del history.rows[JOB]


def not_over(history: History) -> None:
    """1."""
    history.rows[JOB] = row(status="PENDING")
    history.settled.clear()


def made_up(history: History) -> None:
    """2."""
    history.rows["other"] = row("other", n=77, status="CANCELLED")


def doubled(history: History) -> None:
    """2."""
    history.rows["other"] = row("other", status="CANCELLED")


def never_ended(history: History) -> None:
    """3."""
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1)]


def result_of_another(history: History) -> None:
    """3."""
    history.rows[JOB] = row(proof="of a stale attempt")


def success_forgotten(history: History) -> None:
    """3."""
    history.settled[JOB] = 100.05


def illegal(history: History) -> None:
    """4."""
    history.moves[JOB][2:] = [Moved(JOB, 100.6, "PENDING", "COMPLETED", 1, 1, "l1", None)]


def ended_twice(history: History) -> None:
    """4."""
    history.moves[JOB].append(Moved(JOB, 100.7, "COMPLETED", "FAILED", 1, 1, None, None))


def settled_twice(history: History) -> None:
    """4."""
    history.moves[JOB].append(Moved(JOB, 100.7, "COMPLETED", "COMPLETED", 1, 1, None, None))


def attempt_fell(history: History) -> None:
    """5."""
    history.moves[JOB][2] = Moved(JOB, 100.6, "PROCESSING", "COMPLETED", 1, 0, "l1", None)


def ran_too_often(history: History) -> None:
    """6."""
    history.runs[JOB].insert(0, Run(JOB, 1, ONE, 100.06, 100.07, "returned"))


def lost_without_a_reason(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, TWO, 100.06, 100.09, "lost", "")]


def failed_unasked(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.06, 100.09, "failed", "why?")]


def lost_before_its_worker_died(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, TWO, 100.06, 100.09, "lost", "")]
    history.deaths[12] = (500.0, -9)


def hung_at_the_end(history: History) -> None:
    """6."""
    history.hung = [(200.0, "consumer-3", 10.0, 11)]


def failed_too_early(history: History) -> None:
    """4."""
    history.rows[JOB] = row(status="FAILED")._replace(reason="attempts_spent", failures=1)
    history.moves[JOB][2] = Moved(JOB, 100.6, "PROCESSING", "FAILED", 1, 1, "l1", None)
    history.settled.clear()


def cancelled_by_nobody(history: History) -> None:
    """4."""
    history.rows[JOB] = row(status="CANCELLED")
    history.settled.clear()


def lived_again_by_itself(history: History) -> None:
    """4."""
    history.moves[JOB] += [
        Moved(JOB, 101.0, "COMPLETED", "PENDING", 1, 1, None, None),
        Moved(JOB, 101.1, "PENDING", "PROCESSING", 1, 2, None, "l1"),
    ]


def settled_by_a_stranger(history: History) -> None:
    """5."""
    history.moves[JOB][2] = Moved(JOB, 100.6, "PROCESSING", "RETRYING", 1, 1, "l2", None)


def gave_up(history: History) -> None:
    """6."""
    history.deaths[12] = (101.0, 1)


def left_over(history: History) -> None:
    """10."""
    history.left = {"entries": ["3 entries in normal"]}


def ghost_left(history: History) -> None:
    """10."""
    history.left = {"ghosts": [f"{ONE} is dead and in the group"]}


def letter_missing(history: History) -> None:
    """10."""
    history.left = {"books": ["1 letters in the DLQ stream, 2 jobs FAILED"]}


def error_logged(history: History) -> None:
    """6."""
    history.logged = ["Traceback in the log of consumer-3"]


def killed_by_another(history: History) -> None:
    """6."""
    history.deaths[12] = (101.0, -9)


def ended_by_no_handler(history: History) -> None:
    """6."""
    history.deaths[12] = (101.0, 3)
    history.misdeeds[JOB, 1] = (100.9, "raise")


def key_doubled(history: History) -> None:
    """9."""
    history.requests.append(Request(100.0, [1], "k", 100.1, 202, [JOB]))
    history.requests.append(Request(100.0, [1], "k", 100.1, 200, ["other"]))
    history.rows["other"] = row("other", n=1, status="CANCELLED")


def two_rows_with_one_key(history: History) -> None:
    """9."""
    for job in (JOB, "other"):
        history.rows[job] = row(job)._replace(key="k")


def accepted_without_a_store(history: History) -> None:
    """11."""
    history.strikes.append(Strike("postgres.kill", "PostgreSQL", ["postgres"], [EVERYONE], 99.0, 99.0, healed=101.0, mending=100.9))


def refused_without_redis(history: History) -> None:
    """11."""
    history.strikes.append(Strike("redis.kill", "Redis", ["redis"], [], 200.0, 200.0, healed=210.0, mending=209.0))
    history.requests += [Request(201.0 + n / 10, [100 + n], None, 201.1 + n / 10, 503, []) for n in range(20)]


def tick_without_a_job(history: History) -> None:
    """12."""
    history.ticks.append(("tick", 100.0, "gone"))


def tick_doubled(history: History) -> None:
    """12."""
    history.ticks += [("tick", 100.0, JOB), ("tick", 100.0, JOB)]


def tick_left_out(history: History) -> None:
    """12."""
    for second in (100, 101, 103):
        history.ticks.append(("tick", float(second), JOB))


def result_overwritten(history: History) -> None:
    """3."""
    end = history.moves[JOB][-1]
    history.moves[JOB] += [end._replace(t=103.0, came_from="COMPLETED", digest="b")]


def ran_twice_as_one_attempt(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.1, 100.2, "handed_back", "")]
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1, 100.15, "returned"), Run(JOB, 1, ONE, 100.2, 100.5, "returned")]


def webhook_of_another_was_given_up(history: History) -> None:
    """12."""
    history.rows[JOB] = row()._replace(webhook_url="http://127.0.0.1/hook")
    payload = {"url": "http://127.0.0.1/hook", "event": {"data": {"id": "another"}}}
    history.rows["w"] = row("w")._replace(type="webhook.deliver", status="FAILED", payload=payload, result=None)


def waited(history: History) -> None:
    """14."""
    history.runs[JOB] = [Run(JOB, 1, ONE, 103.1, 103.2, "returned")]
    history.settled[JOB] = 103.3


def waited_until_something_broke(history: History) -> None:
    """14."""
    waited(history)
    history.deaths[12] = (102.9, -9)


def left_by_itself(history: History) -> None:
    """6."""
    history.deaths[12] = (101.0, 0)


def handed_back_unasked(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, TWO, 100.06, 100.09, "handed_back", "")]


def snoozed_unasked(history: History) -> None:
    """6."""
    history.tried[JOB] = [Tried(JOB, 1, TWO, 100.06, 100.09, "snoozed", "")]


def refused_in_calm(history: History) -> None:
    """15."""
    history.requests.append(Request(100.0, [2], None, 100.1, 503, []))


def held_its_lease_and_did_not_read(history: History) -> None:
    """15."""
    history.calm = (100.0, 108.0)


def ticks_stopped(history: History) -> None:
    """12."""
    history.scheduled, history.whole = 99.5, 110.0
    history.ticks.append(("tick", 100.0, JOB))


def never_ticked(history: History) -> None:
    """12."""
    history.scheduled, history.whole = 99.5, 110.0


def replayed_more_often_than_asked(history: History) -> None:
    """4."""
    lived_again_by_itself(history)
    history.replays = [Replay(100.9, 0)]


def replayed_another_than_was_told(history: History) -> None:
    """4."""
    lived_again_by_itself(history)
    history.replays = [Replay(100.9, 3, ["another"])]


def fewer_were_accepted_than_sent(history: History) -> None:
    """1."""
    history.requests[0] = history.requests[0]._replace(numbers=[1, 2])


def not_over_in_time(history: History) -> None:
    """1."""
    history.left = {"jobs": ["1 jobs PROCESSING"]}


def payloads_swapped(history: History) -> None:
    """2."""
    history.rows["other"] = row("other", n=2)
    history.requests[0] = history.requests[0]._replace(numbers=[2, 1], ids=[JOB, "other"])


def a_result_that_is_none(history: History) -> None:
    """3."""
    history.rows[JOB] = row()._replace(result="xxx")


def settled_before_it_ended(history: History) -> None:
    """5."""
    history.runs[JOB][0].ended = 100.8


def cancelled_while_it_ran(history: History) -> None:
    """5."""
    history.moves[JOB][2] = Moved(JOB, 100.3, "PROCESSING", "CANCELLED", 1, 1, "l1", None)


def began_what_it_had_handed_back(history: History) -> None:
    """6."""
    history.told[11] = 100.05
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.04, 100.07, "handed_back", "")]


def lost_and_never_begun(history: History) -> None:
    """6."""
    history.rows[JOB] = row(status="FAILED")._replace(reason="crashed", crashes=3)
    history.runs.clear()
    history.settled.clear()
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.1, 100.5, "lost", "")]


def ran_unclaimed(history: History) -> None:
    """6."""
    del history.moves[JOB][1]


def killed_unhurt(history: History) -> None:
    """6."""
    history.told[11], history.deaths[11] = 100.7, (100.8, -15)


def claimed_before_its_time(history: History) -> None:
    """8."""
    history.moves[JOB][0] = history.moves[JOB][0]._replace(due=100.2)


def took_more_memory_than_it_may(history: History) -> None:
    """6."""
    history.rows[JOB] = row(times=1)._replace(payload={"n": 1, "times": 1, "misdeed": "starve"})
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.06, 100.09, "failed", "RuntimeError: 16 meals were not too many")]


def row_of_a_misdeed_is_gone(history: History) -> None:
    """1."""
    del history.rows[JOB]
    history.deaths[11] = (100.6, 3)
    history.misdeeds[JOB, 1] = (100.5, "exit")


BREAKS: dict[Callable[[History], None], int] = {
    function: int((function.__doc__ or "").strip("."))
    for function in (
        *(lost, not_over, made_up, doubled, never_ended, result_of_another, success_forgotten, illegal, ended_twice, attempt_fell),
        *(ran_too_often, lost_without_a_reason, failed_unasked, gave_up, left_over, key_doubled, accepted_without_a_store),
        *(refused_without_redis, tick_without_a_job, tick_doubled, waited, tick_left_out, result_overwritten),
        *(
            lost_before_its_worker_died,
            hung_at_the_end,
            failed_too_early,
            cancelled_by_nobody,
            lived_again_by_itself,
            settled_by_a_stranger,
            ran_twice_as_one_attempt,
            webhook_of_another_was_given_up,
            waited_until_something_broke,
            left_by_itself,
            handed_back_unasked,
            snoozed_unasked,
            refused_in_calm,
            held_its_lease_and_did_not_read,
            ticks_stopped,
            never_ticked,
            replayed_more_often_than_asked,
            replayed_another_than_was_told,
            two_rows_with_one_key,
            ghost_left,
            letter_missing,
            error_logged,
            killed_by_another,
            ended_by_no_handler,
            fewer_were_accepted_than_sent,
            not_over_in_time,
            payloads_swapped,
            a_result_that_is_none,
            settled_before_it_ended,
            cancelled_while_it_ran,
            began_what_it_had_handed_back,
            lost_and_never_begun,
            ran_unclaimed,
            killed_unhurt,
            claimed_before_its_time,
            took_more_memory_than_it_may,
            settled_twice,
            row_of_a_misdeed_is_gone,
        ),
    )
}


@pytest.mark.parametrize("damage", BREAKS, ids=lambda function: function.__name__)
def test_what_breaks_an_invariant_is_found(damage: Callable[[History], None]) -> None:
    """By that invariant."""
    history = sound()
    damage(history)
    assert BREAKS[damage] in {finding.number for finding in check(history)}


def test_a_job_beside_itself_is_found() -> None:
    """7: the first worker lives, and nobody said that it lost its lease."""
    history = taken_over()
    history.deaths.clear()
    history.tried[JOB] = []
    assert 7 in {finding.number for finding in check(history)}


def test_a_lost_lease_excuses_no_overlap_before_it_was_lost() -> None:
    """7: the job ran a second time at 103; that its lease was lost was found at 114."""
    history = taken_over()
    history.deaths.clear()
    history.runs[JOB][1].began = 103.0
    assert 7 in {finding.number for finding in check(history)}


@pytest.mark.parametrize(("woke", "broken"), [(115.4, {6, 7}), (117.0, {3, 6})])
@pytest.mark.parametrize(("looked", "may"), [(None, False), (100.15, True), (0.05, False)])
def test_who_has_looked_before_it_was_frozen_may_begin(woke: float, broken: set[int], looked: float | None, *, may: bool) -> None:
    """Between the look and the first step of a handler there is always a moment; it wakes up beside its successor, or after that."""
    history = taken_over()
    history.deaths.clear()
    history.runs[JOB][0].began = woke + 0.1
    history.runs[JOB][0].looked = woke + looked if looked and looked < 1 else looked
    history.strikes.append(Strike("service.freeze.past", "SIGSTOP", [], [11], 100.1, 100.2, "consumer-3", healed=woke, mending=woke))
    assert {finding.number for finding in check(history)} == (set() if may else broken)


@pytest.mark.parametrize(("began", "found"), [(110.1, False), (109.0, True)])
def test_who_hangs_may_run_on_when_its_attempt_is_over(began: float, *, found: bool) -> None:
    """7: and not a moment before."""
    history = sound()
    history.rows[JOB] = row(attempts=2, times=1)._replace(payload={"n": 1, "times": 1, "misdeed": "hang"})
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.1, 110.0, "failed", "timeout: stopped after 10 s")]
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1), Run(JOB, 2, ONE, began, 112.0, "returned")]
    assert any(finding.number == 7 for finding in check(history)) is found


@pytest.mark.parametrize(("began", "found"), [(102.1, False), (103.05, True)])
def test_what_waits_for_its_time_comes_then(began: float, *, found: bool) -> None:
    """8: due at 102, up to one second later."""
    history = sound()
    history.moves[JOB] = [
        Moved(JOB, 100.04, None, "SCHEDULED", None, 0, None, None, due=102.0),
        Moved(JOB, began, "SCHEDULED", "PROCESSING", 0, 1, None, "l1", due=102.0),
        Moved(JOB, 103.6, "PROCESSING", "COMPLETED", 1, 1, "l1", None),
    ]
    history.runs[JOB] = [Run(JOB, 1, ONE, began, 103.5, "returned")]
    history.settled[JOB] = 103.6
    assert ({finding.number for finding in check(history)} == {8}) == found


@pytest.mark.parametrize(
    ("told_at", "again", "leases", "found"), [(50.5, False, {}, False), (90.0, False, {"l1": ONE}, True), (90.0, True, {"l1": ONE}, False)]
)
def test_who_is_told_to_end_drains(told_at: float, leases: dict[str, str], *, again: bool, found: bool) -> None:
    """6: but for who cannot hear that yet, or hears it twice."""
    history = History(births={11: (50.0, "consumer")}, leases=leases, told={11: told_at}, deaths={11: (told_at + 0.1, -15)})
    history.told_again = {11} if again else set()
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("seconds", "pid", "found"), [(13.0, 11, False), (2.0, 11, True), (13.0, 12, True)])
def test_who_is_blocked_by_a_handler_cannot_drain(seconds: float, pid: int, *, found: bool) -> None:
    """6: the handler said so at 100.4, it was told to end at 105."""
    history = sound()
    history.rows[JOB] = row(times=1)._replace(payload={"n": 1, "times": 1, "misdeed": "block", "seconds": seconds})
    history.misdeeds[JOB, 1] = (100.4, "block")
    history.hung = [(115.0, "consumer-3", 10.0, pid)]
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("fault", "found"), [("postgres.kill", False), ("redis.kill", True)])
def test_a_claim_may_be_forgotten_in_a_crash_of_postgresql(fault: str, *, found: bool) -> None:
    """6 and 7: the first worker runs on with a claim that is not there any more, the second claims it anew."""
    history = taken_over()
    history.deaths.clear()
    history.tried[JOB] = []
    history.runs[JOB] = [Run(JOB, 1, ONE, 100.1, 116.5, "returned"), Run(JOB, 1, TWO, 115.0, 115.9, "returned")]
    history.moves[JOB] = [
        Moved(JOB, 100.04, None, "PENDING", None, 0, None, None),
        Moved(JOB, 115.0, "PENDING", "PROCESSING", 0, 1, None, "l2"),
        Moved(JOB, 116.0, "PROCESSING", "COMPLETED", 1, 1, "l2", None),
    ]
    history.rows[JOB] = row(worker=TWO, proof="t2")
    history.effects[JOB, 1].add("t2")
    history.strikes.append(Strike(fault, "a kind", [], [], 100.2, 100.2, healed=101.0))
    assert ({finding.number for finding in check(history)} == {6, 7}) == found
    assert (check(history) == []) != found


@pytest.mark.parametrize(("began", "found"), [(102.4, True), (102.6, False), (103.6, True)])
def test_a_retry_too_early_or_too_late_is_found(began: float, *, found: bool) -> None:
    """8: two seconds after the failure at 100.5, or up to one second later."""
    history = retried()
    history.runs[JOB][1].began = began
    assert (8 in {finding.number for finding in check(history)}) == found


def test_a_retry_may_be_late_when_new_jobs_wait_as_well() -> None:
    """Consumers are busy; a job that was accepted meanwhile has begun late, too."""
    history = retried()
    history.runs[JOB][1].began = 105.0
    assert 8 in {finding.number for finding in check(history)}
    history.requests.append(Request(103.0, [2], None, 103.1, 202, ["other"]))
    history.rows["other"] = row("other", n=2)
    history.moves["other"] = [Moved("other", 103.0, None, "PENDING", None, 0, None, None)]
    history.runs["other"] = [Run("other", 1, ONE, 104.9, 105.1, "returned")]
    assert 8 not in {finding.number for finding in check(history)}
    history.runs[JOB][1].began = 140.0
    history.runs[JOB][0].ended = 130.0  # long after they had to wait
    assert 8 in {finding.number for finding in check(history)}


def test_a_replay_need_not_wait() -> None:
    """The job had failed for good."""
    history = retried()
    history.runs[JOB][1].began = 100.7
    history.moves[JOB][2:4] = [
        Moved(JOB, 100.55, "PROCESSING", "FAILED", 1, 1, "l1", None),
        Moved(JOB, 100.65, "FAILED", "PENDING", 1, 1, None, None),
        Moved(JOB, 100.7, "PENDING", "PROCESSING", 1, 2, None, "l1"),
    ]
    assert 8 not in {finding.number for finding in check(history)}


@pytest.mark.parametrize(("named", "found"), [((129.9, 130.1), False), ((119.9, 120.1), True)])
def test_an_answer_is_of_the_replay_that_came_while_it_was_awaited(named: tuple[float, float], *, found: bool) -> None:
    """4: the one before it had no answer, long ago."""
    history = sound()
    for at in (101.0, 130.0):
        history.moves[JOB] += [
            Moved(JOB, at, "FAILED", "PENDING", 1, 1, None, None),
            Moved(JOB, at + 0.1, "PENDING", "PROCESSING", 1, 2, None, "l1"),
            Moved(JOB, at + 0.2, "PROCESSING", "FAILED", 2, 2, "l1", None),
        ]
    sent, answered = named
    history.replays = [Replay(100.9, 3), Replay(sent, 3, [JOB], answered)]
    assert any("nobody had just asked" in finding.what for finding in check(history)) == found


def test_a_retry_may_be_late_when_something_is_broken() -> None:
    """8: only the lower bound holds then."""
    history = retried()
    history.runs[JOB][1].began = 109.0
    [strike] = history.strikes = [Strike("redis.kill", "Redis", [], [], 102.0, 102.0, healed=108.0)]
    assert 8 not in {finding.number for finding in check(history)}
    strike.began = strike.hit = 104.0
    assert 8 in {finding.number for finding in check(history)}, "it was late before that"


@pytest.mark.parametrize(("scheduled", "found"), [(96.9, True), (97.1, False)])
def test_the_first_jobs_of_all_may_wait_longer(scheduled: float, *, found: bool) -> None:
    """14: everything has just started then; three seconds later nothing waits."""
    history = sound()
    history.scheduled = scheduled
    history.runs[JOB] = [Run(JOB, 1, ONE, 102.2, 102.6, "returned")]
    assert (14 in {finding.number for finding in check(history)}) == found


def test_a_crash_that_takes_too_long_is_found() -> None:
    """13: 10 s of lease and 2 s; the other consumer was there all the time."""
    history = taken_over()
    history.runs[JOB][1].began = 118.0
    assert 13 in {finding.number for finding in check(history)}
    history.strikes.append(Strike("redis.flush", "Redis", [], [], 117.9, 117.9, healed=117.95))
    assert 13 in {finding.number for finding in check(history)}, "it was late before that"


@pytest.mark.parametrize(("fault", "found"), [("network.slow", True), ("redis.flush", False), ("consumer.freeze.past", False)])
def test_a_second_letter_is_found_where_nothing_explains_it(fault: str, *, found: bool) -> None:
    """Redis may have lost the first; who was frozen before it was added may add it after somebody else has."""
    history = sound()
    history.letters = [(60.0, "other", False), (101.0, JOB, True)]
    history.strikes.append(Strike(fault, "a kind", [], [], 90.0, 90.0, healed=91.0))
    history.strikes.append(Strike("redis.flush", "Redis", [], [], 50.0, 50.0, healed=51.0))  # long ago
    assert (10 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("deaths", "found"), [((), True), ((62.0, 73.0, 84.0, 92.0), False), ((62.0, 92.0), True), ((92.0, 102.0), True)])
def test_a_loss_of_redis_is_made_good_only_by_those_who_live_for_it(deaths: tuple[float, ...], *, found: bool) -> None:
    """10: flushed at 50; who was rebuilding was killed again and again until 92, the letters came anew at 101."""
    history = sound()
    history.letters = [(60.0, "other", False), (101.0, JOB, True)]
    history.strikes.append(Strike("redis.flush", "Redis", [], [], 50.0, 50.0, healed=51.0))
    history.deaths.update({100 + number: (died, 0) for number, died in enumerate(deaths)})
    assert (10 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("left", "found"), [(114.0, False), (130.0, True)])
def test_a_dead_consumer_has_to_leave_its_group(left: float, *, found: bool) -> None:
    """With its pending list, while somebody lives who can see to it."""
    history = taken_over()
    history.groups = [(60.0, {ONE, TWO}), (left, {TWO})]
    assert (13 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("whole", "found"), [(110.0, False), (125.0, True)])
def test_a_dead_consumer_that_stays_for_ever_is_found(whole: float, *, found: bool) -> None:
    """13: unless we had stopped looking."""
    history = taken_over()
    history.groups = [(60.0, {ONE, TWO})]
    history.whole = whole
    assert (13 in {finding.number for finding in check(history)}) == found


def test_webhooks_have_to_arrive_with_one_id() -> None:
    """12."""
    history = sound()
    history.rows[JOB] = row()._replace(webhook_url="http://127.0.0.1/hook")
    assert {finding.number for finding in check(history)} == {12}
    history.hooks[JOB] = [{"id": "w1", "state": "COMPLETED", "answer": 503}, {"id": "w1", "state": "COMPLETED", "answer": 204}]
    assert check(history) == []
    history.hooks[JOB].append({"id": "w2", "state": "COMPLETED", "answer": 204})
    assert {finding.number for finding in check(history)} == {12}
    history.hooks[JOB] = [{"id": "w1", "state": "FAILED", "answer": 204}]
    assert {finding.number for finding in check(history)} == {12}


@pytest.mark.parametrize(
    ("reason", "failures", "refused", "crashes", "found"),
    [
        ("attempts_spent", 4, 4, 0, False),
        ("attempts_spent", 4, 3, 0, True),
        ("permanent_failure", 1, 1, 0, True),
        ("crashed", 0, 0, 3, False),
    ],
)
def test_a_webhook_is_given_up_only_when_it_is_refused_again_and_again(
    reason: str, failures: int, refused: int, crashes: int, *, found: bool
) -> None:
    """12: or when it was running at too many deaths of workers."""
    history = sound()
    history.rows[JOB] = row()._replace(webhook_url="http://127.0.0.1/hook")
    payload = {"url": "http://127.0.0.1/hook", "event": {"data": {"id": JOB}}}
    delivery = row("w", status="FAILED")._replace(type="webhook.deliver", payload=payload)
    history.rows["w"] = delivery._replace(reason=reason, failures=failures, crashes=crashes)
    history.hooks[JOB] = [{"id": "w1", "state": "COMPLETED", "answer": 503}] * refused
    assert (12 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(
    ("fault", "victims", "seconds", "found"),
    [
        ("postgres.kill", [EVERYONE], 2.0, True),
        ("postgres.kill", [EVERYONE], 5.0, False),
        ("consumer.freeze.brief", [11], 5.0, True),
        ("consumer.freeze.edge", [11], 9.5, False),
        ("consumer.freeze.past", [12], 12.0, True),
    ],
)
def test_only_what_lasts_explains_a_lost_lease(fault: str, victims: list[int], seconds: float, *, found: bool) -> None:
    """6: a lease of ten seconds has a beat every three; what is over before a beat is late has cost none."""
    history = taken_over()
    history.deaths.clear()
    kind = "SIGSTOP" if "freeze" in fault else "Postgres"
    history.strikes.append(Strike(fault, kind, [], victims, 102.0, 102.0, healed=102.0 + seconds))
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(
    ("kind", "error", "fault", "found"),
    [
        ("chaos.work", f"RuntimeError: {NO_LIMIT}", "redis.kill", False),
        ("chaos.process", f"RuntimeError: {NO_LIMIT}", "redis.kill", True),
        ("chaos.process", "MemoryError: ", "redis.kill", False),
        ("chaos.process", "ProcessDied: killed by SIGKILL", "redis.kill", True),
        ("chaos.process", "ProcessDied: killed by SIGKILL", "handler.starve.consumer", False),
        ("chaos.work", "ProcessDied: killed by SIGKILL", "handler.starve.consumer", True),
    ],
)
def test_who_takes_too_much_memory_meets_a_limit(kind: str, error: str, fault: str, *, found: bool) -> None:
    """6: that of a child process, which is always there; or that of a consumer, which is lifted when the fault is over."""
    history = sound()
    history.rows[JOB] = row(times=1)._replace(type=kind, payload={"n": 1, "times": 1, "misdeed": "starve"})
    history.tried[JOB] = [Tried(JOB, 1, ONE, 100.06, 100.09, "failed", error)]
    history.strikes.append(Strike(fault, "a kind", [], [], 100.0, 100.05, healed=101.0))
    assert any("took more memory than it may" in finding.what for finding in check(history)) is found


@pytest.mark.parametrize(
    ("fault", "victims", "found"), [("handler.block.long", [], False), ("consumer.freeze.edge", [11], False), ("redis.kill", [], True)]
)
def test_time_may_be_up_where_the_process_stood(fault: str, victims: list[int], *, found: bool) -> None:
    """6."""
    history = sound()
    history.tried[JOB] = [Tried(JOB, 1, ONE, 90.0, 100.0, "failed", "timeout: stopped after 10 s")]
    history.strikes.append(Strike(fault, "a kind", [], victims, 91.0, 91.0, healed=99.0))
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("healed", "found"), [(97.2, False), (97.0, True)])
def test_an_outage_that_was_over_before_the_attempt_explains_no_lost_lease(healed: float, *, found: bool) -> None:
    """6: the attempt began at 100.1 under a lease that held then; the last beat that was lost may have been given up shortly before."""
    history = taken_over()
    history.deaths.clear()
    history.strikes.append(Strike("postgres.freeze", "Postgres", [], [EVERYONE], healed - 12.0, healed - 12.0, healed=healed))
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(
    ("ran", "told", "victims", "found"),
    [
        (False, 100.3, [11], False),
        (True, 100.3, [11], True),
        (False, None, [11], True),
        (False, 100.3, [12], True),
    ],
)
def test_who_ends_before_it_hears_of_its_claim_cannot_give_it_back(
    told: float | None, victims: list[int], *, ran: bool, found: bool
) -> None:
    """6: told to end just when its way to PostgreSQL was cut, it ended in order; not so who had begun, was not told, or was not cut off."""
    history = taken_over()
    history.killed.clear()
    history.deaths[11] = (102.0, 0)
    if not ran:
        del history.runs[JOB][0]
    if told is not None:
        history.told[11] = told
    history.strikes.append(Strike("network.cut", "Network", [], victims, 100.1, 100.1, healed=102.5))
    assert (6 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(
    ("told", "victims", "found"),
    [(95.9, [11], False), (96.1, [11], True), (95.9, [12], True)],
)
def test_who_drains_in_vain_leaves_what_it_could_not_settle(told: float, victims: list[int], *, found: bool) -> None:
    """6: told to end and cut off from PostgreSQL, it tried for 8 s, and ended in order; not so who had time left, or was not cut off."""
    history = taken_over()
    history.killed.clear()
    history.told[11], history.deaths[11] = told, (104.0, 0)
    history.runs[JOB][0].ended = 100.5
    history.strikes.append(Strike("network.cut", "Network", [], victims, 100.1, 100.1, healed=102.5))
    assert (6 in {finding.number for finding in check(history)}) == found


def test_outages_add_up_when_no_beat_comes_between() -> None:
    """6: what several of them cover counts once."""
    history = taken_over()
    history.deaths.clear()
    history.strikes = [Strike("postgres.kill", "Postgres", [], [EVERYONE], 102.0, 102.0, healed=103.0) for _ in range(3)]
    assert 6 in {finding.number for finding in check(history)}
    history.strikes[1] = Strike("postgres.kill", "Postgres", [], [EVERYONE], 106.5, 106.5, healed=107.5)
    assert 6 not in {finding.number for finding in check(history)}
    history.strikes[1] = Strike("postgres.kill", "Postgres", [], [EVERYONE], 109.5, 109.5, healed=110.5)
    assert 6 in {finding.number for finding in check(history)}


@pytest.mark.parametrize(
    ("code", "what", "at", "kind", "found"),
    [
        (3, "exit", 100.9, "chaos.work", False),
        (3, "exit", 100.9, "chaos.process", True),
        (3, "exit", 80.0, "chaos.work", True),
        (3, "segfault", 100.9, "chaos.work", True),
        (-9, "starve", 100.9, "chaos.thread", False),
        (-9, "exit", 100.9, "chaos.thread", True),
    ],
)
def test_a_handler_that_said_so_may_end_its_process(code: int, what: str, at: float, kind: str, *, found: bool) -> None:
    """6: by the code that this has, and its own process only."""
    history = sound()
    history.rows[JOB] = history.rows[JOB]._replace(type=kind)
    history.deaths[pid_of(history.runs[JOB][0].worker)] = (101.0, code)
    history.misdeeds[JOB, 1] = (at, what)
    assert (6 in {finding.number for finding in check(history)}) == found


def test_who_is_told_to_end_may_hand_back_and_go() -> None:
    """6."""
    history = sound()
    handed_back_unasked(history)
    history.told[12], history.deaths[12] = 100.05, (101.0, 0)
    assert check(history) == []


@pytest.mark.parametrize(("fault", "found"), [("consumer.kill", True), ("producer.kill", False), ("postgres.lock", False)])
def test_redis_away_is_judged_unless_something_else_stops_submissions(fault: str, *, found: bool) -> None:
    """11."""
    history = sound()
    refused_without_redis(history)
    history.strikes.append(Strike(fault, "a kind", [], [], 203.0, 203.0, healed=203.1))
    assert (11 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("detail", "found"), [("producer to redis", True), ("consumer to redis", False)])
def test_the_way_from_producers_to_redis_is_redis_to_them(detail: str, *, found: bool) -> None:
    """11."""
    history = sound()
    refused_without_redis(history)
    history.strikes[0] = Strike("network.black_hole", "network", [], [], 200.0, 200.0, detail, healed=210.0, mending=209.0)
    assert (11 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize(("answered", "found"), [(101.05, False), (100.8, True)])
def test_what_is_answered_when_a_store_comes_back_is_no_finding(answered: float, *, found: bool) -> None:
    """11: it answers a moment before we hear that it is there."""
    history = sound()
    history.requests[0] = history.requests[0]._replace(answered=answered)
    history.strikes.append(Strike("postgres.kill", "Postgres", ["postgres"], [EVERYONE], 99.0, 99.0, healed=101.1, mending=101.0))
    assert (11 in {finding.number for finding in check(history)}) == found


@pytest.mark.parametrize("history", [sound, taken_over, retried])
def test_cases_are_counted(history: Callable[[], History]) -> None:
    """A retry that may be late for a reason is no case of its being in time; a job is one of its not being lost."""
    _, judged = judge(history())
    assert judged["1: every job that was answered 2xx is in a terminal state in the end"] == 1
    assert judged["8: a retry comes after 2, 4, 8 s"] == judged["8: and at most one second later"] == (history is retried)
    assert judged["13: the jobs of a killed consumer run again within the lease and 2 s"] == (history is taken_over)
    assert judged["14: where nothing is broken a job starts within 2 s"] == 1
    assert judged["15: where nothing is broken submissions are accepted"] == 1


def test_every_invariant_is_broken_by_some_test() -> None:
    """No sentence without one: the others have tests of their own above, with histories that have a retry, a crash or a letter."""
    found = set()
    for damage in BREAKS:
        history = sound()
        damage(history)
        found |= {finding.name for finding in check(history)}
    others = {
        runs.no_overlap,
        due.retries_wait,
        due.retries_come,
        due.nothing_is_tardy,
        speed.crashes_are_short,
        speed.ghosts_go,
        stores.letters_are_added_once,
    }
    assert {known.name for known in INVARIANTS if known.check not in others} <= found


@pytest.mark.parametrize(("worker", "pid"), [("host:12:ab", 12), ("a:b:12:ab", 12), (None, 0), ("reaper", 0)])
def test_the_pid_is_in_the_name(worker: str | None, pid: int) -> None:
    """Whatever the host is called."""
    assert pid_of(worker) == pid
