"""Reads what happened from the journal, the recorder's file and the database into a history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from chaos.history import History, Moved, Replay, Request, Row, Run, Strike, Tried
from chaos.journal import read
from shared.database import Database

ROWS = """
SELECT id::text, type, status::text, attempts, failures, crashes, max_attempts, worker, reason, payload::text, result::text,
       idempotency_key, webhook_url, extract(epoch FROM created_at)::float8, extract(epoch FROM finished_at)::float8
FROM jobs
"""
ATTEMPTS = """
SELECT job_id::text, attempt, worker, extract(epoch FROM started_at)::float8, extract(epoch FROM finished_at)::float8, outcome,
       coalesce(error, '')
FROM attempts ORDER BY job_id, attempt
"""
MOVES = """
SELECT job::text, extract(epoch FROM at)::float8, came_from::text, went_to::text, before, after, lease::text, next_lease::text, digest,
       extract(epoch FROM due)::float8
FROM chaos_moves ORDER BY seq
"""
LIMITS = "SELECT id::text, timeout_seconds::float8 FROM jobs WHERE timeout_seconds IS NOT NULL"
LEASES = "SELECT id::text, worker FROM leases"
RUNS = "SELECT schedule, extract(epoch FROM tick)::float8, job_id::text FROM schedule_runs WHERE NOT triggered ORDER BY tick"


def read_journal(history: History, file: Path) -> None:
    """Add what the tool itself wrote: requests, faults, deaths, webhooks."""
    sent: dict[int, dict[str, Any]] = {}
    struck: dict[int, Strike] = {}
    for event in read(file):
        match event["e"]:
            case "sent":
                sent[event["r"]] = event
            case "answer":
                asked = sent.pop(event["r"])
                history.requests.append(_request(asked, event))
            case "struck":
                struck[event["i"]] = _strike(event)
            case "mending":
                struck[event["i"]].mending = event["t"]
            case "healed":
                struck[event["i"]].healed = event["t"]
            case "missed":
                struck[event["i"]].missed = event["why"]
            case _:
                _read_rest(history, event)
    history.strikes += struck.values()
    history.requests += [_request(event, {"began": event["t"], "t": event["t"], "status": 0, "ids": ()}) for event in sent.values()]


def _request(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> Request:
    return Request(answer["began"], asked["numbers"], asked["key"], answer["t"], answer["status"], answer["ids"], asked["patient"])


def _strike(event: Mapping[str, Any]) -> Strike:
    return Strike(
        *(event["fault"], event["kind"], event["strikes"], event["victims"], event["began"], event["t"], event["detail"]),
        aim=event.get("aim", ""),
    )


def _read_rest(history: History, event: dict[str, Any]) -> None:
    match event["e"]:
        case "started":
            history.births[event["pid"]] = (event["t"], event["part"])
        case "died":
            history.deaths[event["pid"]] = (event["t"], event["code"])
            history.killed |= {event["pid"]} if event["by_us"] else set()
        case "stranded":
            history.stranded.append(event["what"])
        case "group":
            history.groups.append((event["t"], set(event["members"])))
        case "letter":
            history.letters.append((event["t"], event["job"], event["twice"]))
        case "told":
            history.told_again |= {event["pid"]} & history.told.keys()
            history.told.setdefault(event["pid"], event["t"])
        case "hung":
            history.hung.append((event["t"], event["member"], event["seconds"], event["pid"]))
        case _:
            _read_phase(history, event)
            _read_asked(history, event)


def _read_phase(history: History, event: dict[str, Any]) -> None:
    match event["e"]:
        case "scheduled":
            history.scheduled = event["t"]
        case "whole":
            history.whole = event["t"]
        case "calm":
            history.calm = (event["began"], event["t"])


def _read_asked(history: History, event: dict[str, Any]) -> None:
    match event["e"]:
        case "cancel":
            history.cancels.add(event["job"])
        case "replay":
            history.replays.append(Replay(event["began"], event["limit"], event["ids"], event["t"]))
        case "hook":
            history.hooks[event["job"]].append(event)


def read_recording(history: History, file: Path) -> None:
    """Add what the handlers did."""
    open_runs: dict[tuple[str, int, str], Run] = {}
    for event in read(file):
        match event["e"]:
            case "start":
                run = Run(event["job"], event["n"], event["worker"], event["t"], looked=event.get("looked"))
                open_runs[run.job, run.attempt, run.worker] = run
                history.runs[run.job].append(run)
            case "end":
                found = open_runs.get((event["job"], event["n"], event["worker"]))
                if found is not None:
                    found.ended, found.how = event.get("at", event["t"]), event["how"]
            case _:
                _read_deed(history, event)


def _read_deed(history: History, event: Mapping[str, Any]) -> None:
    match event["e"]:
        case "settled":
            for job in event["jobs"]:
                history.settled.setdefault(job, event["t"])  # who says so once more has done it again
        case "misdeed":
            history.misdeeds[event["job"], event["n"]] = (event["t"], event["what"])
        case "effect":
            history.effects[event["job"], event["n"]].add(event["token"])


async def read_database(history: History, database: Database) -> None:
    """Add what the rows say in the end, and every change on the way there."""
    for values in await database.fetch(ROWS):
        cells = list(values)
        cells[9:11] = (_parsed(values[9]) or {}, _parsed(values[10]))
        row = Row(*cells)
        history.rows[row.id] = row
    for values in await database.fetch(ATTEMPTS):
        history.tried[values[0]].append(Tried(*values))
    for values in await database.fetch(MOVES):
        history.moves[values[0]].append(Moved(*values))
    history.leases = {row[0]: row[1] for row in await database.fetch(LEASES)}
    history.limits = {row[0]: row[1] for row in await database.fetch(LIMITS)}
    history.ticks = [(row[0], row[1], row[2]) for row in await database.fetch(RUNS)]


def _parsed(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
