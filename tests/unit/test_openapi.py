"""GET /openapi.json: valid, complete, and true."""

import json
from typing import Any

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from producer.app import Producer
from producer.dialect import Wish
from producer.openapi import document
from producer.requests import Submission
from shared.settings import Settings

DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(document()))
OPERATIONS = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]


def test_it_is_valid() -> None:
    """By the specification of OpenAPI 3.1; no operation shares its name."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert len({operation["operationId"] for operation in OPERATIONS}) == len(OPERATIONS) > 15


async def test_it_has_every_route_and_no_other() -> None:
    """Whoever adds a route is reminded of producer/openapi_table.py."""
    application = Producer(Settings(database_url="postgresql://", redis_url="redis://")).application()
    routes = {(route.method, route.resource.canonical) for route in application.router.routes() if route.resource is not None}
    there = {(method, path) for method, path in routes if method not in {"HEAD", "*"} and not path.startswith("/api/v1")}
    told = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert told == there


def test_every_schema_that_is_named_is_there_and_used() -> None:
    """A reference that leads nowhere is an error of ours, a schema that nobody names a leftover."""
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in DOCUMENT["components"]["schemas"]


def test_what_a_client_may_send_comes_from_the_code() -> None:
    """Field by field, with limits."""
    schema = DOCUMENT["components"]["schemas"]["Submission"]
    assert set(schema["properties"]) == set(Submission.__struct_fields__)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["type"]
    assert schema["properties"]["payload"] == {"type": "object", "default": {}}
    assert (schema["properties"]["max_attempts"]["anyOf"][0]["minimum"], schema["properties"]["queue"]["default"]) == (1, "default")
    wish = DOCUMENT["paths"]["/submit-job"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(wish["properties"]) == set(Wish.__struct_encode_fields__)
