"""`notification.send`: one message to chats, phones, webhooks, whatever Apprise knows."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from consumer.notifying.label import label
from consumer.sandbox.sandbox import Sandbox, SandboxLimitError
from shared.errors import MillstreamError
from shared.jobs import Context, PermanentFailure, job

MAX_TARGETS = 20
SEND_SECONDS = 30.0
SEND_BYTES = 512 * 1024 * 1024
_CUT_OFF = {"status": "failed", "reason": "no answer before it was cut off"}


class Notification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`urls` are Apprise's: slack://token, json://host/path, ... They may hold secrets and are never shown."""

    urls: Annotated[list[Annotated[str, Meta(min_length=1, max_length=2000)]], Meta(min_length=1, max_length=MAX_TARGETS)]
    body: Annotated[str, Meta(min_length=1, max_length=32_768)]
    title: Annotated[str, Meta(max_length=500)] = ""


class NotSentError(MillstreamError):
    """Some targets did not take the message. Those that did are remembered."""


@job("notification.send", aliases=("sendNotification",), timeout=600)
async def send(ctx: Context, payload: Notification) -> dict[str, Any]:
    """Return the outcome for each target, in their order. Raises while one of them has not taken the message.

    A target that took it is not sent to again by later attempts, unless the worker died between the two.
    """
    outcomes = {index: {"status": "sent"} for index in ctx.checkpoint_data or []}
    left = [(index, url) for index, url in enumerate(payload.urls) if index not in outcomes]

    async def note(outcome: dict[str, Any]) -> None:
        outcomes[outcome["index"]] = {name: outcome[name] for name in ("status", "reason") if outcome[name]}
        if outcome["status"] == "sent":
            await ctx.checkpoint([index for index, known in outcomes.items() if known["status"] == "sent"])

    if left:
        await _send(ctx, {"targets": left, "title": payload.title, "body": payload.body}, note)
    targets = [{"target": label(url)} | outcomes.get(index, _CUT_OFF) for index, url in enumerate(payload.urls)]
    _check(targets)
    return {"targets": targets}


async def _send(ctx: Context, request: dict[str, Any], note: Callable[[Any], Awaitable[None]]) -> None:
    sandbox: Sandbox = ctx.resources["sending_sandbox"]
    request |= {"allow": ctx.resources["settings"].outgoing_allow}
    try:
        await sandbox.run("consumer.notifying.send", request, seconds=SEND_SECONDS, memory_bytes=SEND_BYTES, each=note)
    except SandboxLimitError as error:  # who has not been heard of by now counts as failed
        ctx.log.warning("notification_cut_off", error=str(error))


def _check(targets: list[dict[str, str]]) -> None:
    """Raise PermanentFailure when what was missed will be missed again, NotSentError when one of them may yet take it."""
    missed = [(number, target) for number, target in enumerate(targets, start=1) if target["status"] != "sent"]
    invalid = [(number, target) for number, target in missed if target["status"] == "invalid"]  # nothing was sent, then
    if missed:
        words = [f"{number}. {target['target']}: {target['reason']}" for number, target in invalid or missed]
        what = (
            f"nothing was sent, since {len(invalid)} of {len(targets)} targets cannot be used"
            if invalid
            else f"{len(missed)} of {len(targets)} targets did not take it"
        )
        sentence = f"{what}: {'; '.join(words)}"
        for_good = invalid or all(target["status"] == "forbidden" for _, target in missed)
        raise PermanentFailure(sentence) if for_good else NotSentError(sentence)
