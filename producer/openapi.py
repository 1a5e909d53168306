"""`GET /openapi.json`: the API for programs (OpenAPI 3.1), made from the table of operations and the structs that the routes use."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from producer.dlq_api import Letters
from producer.jobs_api import answer
from producer.openapi_table import BODIES, OPERATIONS, SCHEMAS, Operation
from producer.requests import Submission
from shared.job_views import AttemptView, JobView

JSON = "application/json"
PROBLEM = "application/problem+json"

PROBLEMS = {
    400: "malformed request",
    401: "a key is needed",
    403: "the key is wrong",
    404: "there is none",
    409: "the state does not allow it",
    413: "too large",
    415: "another media type is needed",
    416: "the file does not have that range",
    422: "understood, but invalid; `errors` says where",
    429: "too many jobs wait already",
    503: "not now",
}


class OpenApi:
    """Handler of this route. The document is made once: no route changes while we run."""

    def __init__(self) -> None:
        self._document = msgspec.Raw(msgspec.json.encode(document()))

    def routes(self) -> Sequence[tuple[str, str, Any]]:
        """Return (method, path, handler)."""
        return (("GET", "/openapi.json", self.document),)

    async def document(self, _: web.Request) -> web.Response:
        """GET /openapi.json."""
        return answer(self._document)


def document() -> dict[str, Any]:
    """Return the whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "millstream",
            "version": version("millstream"),
            "description": "A durable background-job service. Every path also answers under /api/v1, and HEAD wherever GET does.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}, {"url": "/api/v1"}],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": operation.name,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation.path), *operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in BODIES[operation.body].items()},
        }
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": _PATH.get(name, {"type": "string"})} for name in names]


_PATH = {"id": {"type": "string", "format": "uuid"}}


def _responses(operation: Operation) -> dict[str, Any]:
    good = {str(status): _answer(text, schema) for status, text, schema in operation.answers}
    bad = {
        str(status): {"description": PROBLEMS[status], "content": _content(PROBLEM, "Problem")}
        for status in (401, 403, *operation.problems)
    }
    return good | bad


def _answer(text: str, schema: str) -> dict[str, Any]:
    if not schema:
        return {"description": text}
    return {"description": text, "content": _content(*(schema.split(":", 1) if ":" in schema else (JSON, schema)))}


def _content(kind: str, schema: str) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "string"}}}


def _schemas() -> dict[str, Any]:
    structs = (_plain(Submission), Letters, JobView, AttemptView)
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    return {**components, **SCHEMAS}


def _plain(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the struct with objects where it keeps raw JSON, of which msgspec knows no default."""
    fields: list[Any] = [
        (item.name, dict[str, Any], {})
        if item.type is msgspec.Raw
        else (item.name, item.type, *(() if item.default is msgspec.NODEFAULT else (item.default,)))
        for item in msgspec.structs.fields(struct)
    ]
    return msgspec.defstruct(struct.__name__, fields, forbid_unknown_fields=True, namespace={"__doc__": struct.__doc__})
