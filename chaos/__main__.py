"""`python -m chaos`: servers and processes of its own, load, faults from a seed, and a check of all that was promised."""

import asyncio
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from chaos import campaign
from chaos.campaign import Tally, segment_name
from chaos.errors import ChaosError
from chaos.options import Options, parse
from chaos.outcome import FILE, Outcome
from chaos.report import print_report, write_report
from chaos.segment import Plan
from chaos.timeline import SECTION, page, section
from shared.errors import ConfigError, EmbeddedUnavailableError

OK, BROKEN, SENSELESS, UNAVAILABLE, FAILED, STOPPED = 0, 1, 2, 69, 70, 130
MOST_SECTIONS = 20  # of the timeline: the last segments


def main(words: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Run; 0 when every invariant held, 1 when not, 69 when the service does not come up or no fault strikes.

    2 when the file to go on with is none, 70 when the suite itself fails, 130 when it was told to end before. The report is of the
    segments that came to their end.
    """
    options = parse(words)
    try:
        tally = campaign.begun(options)
    except ConfigError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return SENSELESS
    print(f"seed {tally.seed}", flush=True)
    _clear(options)

    def after(number: int, plan: Plan, outcome: Outcome) -> None:
        (options.output / segment_name(number) / SECTION).write_text(section(number, plan, outcome), encoding="utf-8")
        _keep(options, number, outcome)

    ended = _run(options, tally, after)
    write_report(tally, options.output)
    (options.output / "timeline.html").write_text(page(tally, _sections(options)), encoding="utf-8")
    print_report(tally)
    return _code(ended, tally)


def _code(ended: int, tally: Tally) -> int:
    """Of the process: a finding outweighs whatever ended the run, other than a person."""
    if ended != STOPPED and tally.findings:
        return BROKEN
    return UNAVAILABLE if ended == OK and not tally.figures.by_fault else ended


def _run(options: Options, tally: Tally, after: Callable[[int, Plan, Outcome], None]) -> int:
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another account when we are root
        try:
            asyncio.run(_until_stopped(campaign.run(options, tally, Path(folder), _say, after)))
        except (asyncio.CancelledError, KeyboardInterrupt):
            print("chaos: stopped in the middle of a segment, which does not count", file=sys.stderr)
            return STOPPED
        except (ChaosError, ConfigError, EmbeddedUnavailableError) as error:
            print(f"chaos: {error}", file=sys.stderr)
            return UNAVAILABLE
        except Exception:  # noqa: BLE001 - whatever it is, it is no finding, and what was found before is to be told
            traceback.print_exc()
            return FAILED
    return OK


async def _until_stopped(running: Coroutine[Any, Any, None]) -> None:
    """Let it clean up after itself when we are told to end: it has servers that are frozen, and file systems of its own."""
    task = asyncio.ensure_future(running)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _say(line: str) -> None:
    print(line, flush=True)


def _clear(options: Options) -> None:
    """Remove the segments of the run before; who goes on with one leaves them."""
    for place in () if options.resume else options.output.glob("segment-*"):
        shutil.rmtree(place, ignore_errors=True)


def _keep(options: Options, number: int, outcome: Outcome) -> None:
    """Show what was found at once; of a segment that held a campaign keeps the history alone."""
    for finding in outcome.findings:
        _say(f"  invariant {finding.number} ({finding.sentence}): {finding.what}")
    if options.campaign and not outcome.findings:
        for file in (options.output / segment_name(number)).iterdir():
            _drop(file)


def _sections(options: Options) -> list[str]:
    files = sorted(options.output.glob(f"segment-*/{SECTION}"))
    return [file.read_text(encoding="utf-8") for file in files[-MOST_SECTIONS:]]


def _drop(file: Path) -> None:
    if file.is_dir():
        shutil.rmtree(file, ignore_errors=True)
    elif file.name not in {FILE, SECTION}:
        file.unlink()


if __name__ == "__main__":
    sys.exit(main())
