"""docs/api.md is written by hand: at least it must not forget a route or a field."""

from pathlib import Path

from producer.app import Producer
from producer.requests import Submission
from producer.schedule_requests import Timing
from shared.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "api.md").read_text(encoding="utf-8")


async def test_every_route_and_every_field_is_documented() -> None:
    """Whoever adds one is reminded."""
    application = Producer(Settings(database_url="postgresql://", redis_url="redis://")).application()
    routes = {(route.method, route.resource.canonical) for route in application.router.routes() if route.resource is not None}
    plain = {f"{method} {path}" for method, path in routes if method not in {"HEAD", "*"} and not path.startswith("/api/v1")}
    assert {name for name in plain if f"`{name}`" not in TEXT} == set()
    assert [name for name in Submission.__struct_fields__ if f"`{name}`" not in TEXT] == []


def test_every_field_of_a_schedule_is_documented() -> None:
    """In docs/schedules.md, with those that all jobs share."""
    text = (DOCS / "schedules.md").read_text(encoding="utf-8")
    assert [name for name in (*Timing.__struct_fields__, *Submission.__struct_fields__) if f"`{name}`" not in text] == []
