"""The job of a schedule as JSON that people can read: a submission with its defaults filled in, without what makes a job a single one."""

from typing import Any

import msgspec

from shared.ids import new_id
from shared.models import NewJob, RawJson

_SINGLE = frozenset({"id", "idempotency_key", "fingerprint", "delay", "run_at"})
_TYPES = {item.name: item.type for item in msgspec.structs.fields(NewJob) if item.name not in _SINGLE}
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def template_of(job: NewJob) -> RawJson:
    """Return `job` as a template; its payload is kept byte by byte."""
    fields = {name: getattr(job, name) for name in _TYPES}
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def job_from(template: RawJson) -> NewJob:
    """Return a new job. Raises msgspec.MsgspecError when the template was spoiled."""
    return NewJob(id=new_id(), **{name: _read(name, part) for name, part in _parts(template).items() if name in _TYPES})


def shown(template: RawJson) -> dict[str, msgspec.Raw]:
    """Return the fields of the template, each as the JSON that it is."""
    return _parts(template)


def _read(name: str, part: msgspec.Raw) -> Any:
    kind = _TYPES[name]
    return part if kind in {msgspec.Raw, msgspec.Raw | None} else msgspec.json.decode(part, type=kind)
