"""`web.scrape` and `notification.send` in real processes: submitted over HTTP, run by a consumer, guarded by its setting."""

import json

from tests.support.eventually import eventually
from tests.support.http_server import answer, http_server
from tests.support.stack import Stack

PAGE = "<title>Shop</title><p class=price>5 €</p>".encode()


async def test_jobs_that_go_out(stack: Stack) -> None:
    """Both types are known by their aliases, do their work where the operator allows it, and are dead-lettered where not."""
    async with http_server() as site, http_server() as inside:
        site.replies |= {"/shop": answer(PAGE), "/hook/s3cret": answer(b"ok")}
        _, consumer = await stack.producer(), await stack.consumer(outgoing_allow=(site.place,))
        scraped = await stack.submit("scrapeWebsite", payload={"url": f"{site.url}/shop", "selectors": {"price": ".price"}})
        notified = await stack.submit("sendNotification", payload={"urls": [f"json://{site.place}/hook/s3cret"], "body": "Hi"})
        refused = [
            await stack.submit("web.scrape", payload={"url": inside.url}),
            await stack.submit("notification.send", payload={"urls": [f"json://{inside.place}/hook/s3cret"], "body": "Hi"}),
        ]
        await stack.post("/jobs", {"type": "web.scrape", "payload": {"url": site.url, "follow": 11}}, expect=422)
        await stack.post("/jobs", {"type": "notification.send", "payload": {"urls": [], "body": "Hi"}}, expect=422)
        await stack.check_promise()
        result = json.loads((await stack.row(scraped))["result"])
        assert (result["title"], result["data"], result["pages"]) == ("Shop", {"price": "5 €"}, 1)
        assert json.loads((await stack.row(notified))["result"]) == {"targets": [{"target": f"json://{site.place}/***", "status": "sent"}]}
        assert json.loads(site.seen[-1].body)["message"] == "Hi"
        for job_id in refused:
            row = await stack.row(job_id)
            assert (row["state"], row["reason"], row["attempts"]) == ("FAILED", "permanent_failure", 1)
            assert "not a public address" in row["error"]
            assert "s3cret" not in row["error"]
        assert inside.connection_count == 0
        assert "s3cret" not in consumer.text()


async def test_a_consumer_that_stops_takes_its_children_along(stack: Stack) -> None:
    """A job that is parsed or sent when the grace time ends is handed back, and its child is gone with the consumer."""
    async with http_server() as site:
        site.replies["/"] = answer(b"<div>" * 400_000)
        _, consumer = await stack.producer(), await stack.consumer(outgoing_allow=(site.place,), grace_seconds=0.1)
        job_id = await stack.submit("web.scrape", payload={"url": f"{site.url}/"})
        await eventually(lambda: "/" in site.paths, what="the page")
        consumer.terminate()
        assert await consumer.ended() == 0
        assert (await stack.row(job_id))["state"] == "PENDING"
        assert [attempt["outcome"] for attempt in await stack.attempts(job_id)] == ["handed_back"]


async def test_who_took_it_is_not_notified_again(stack: Stack) -> None:
    """When one of two targets fails, the next attempt of a real job sends to that one alone."""
    async with http_server() as site:
        site.replies |= {"/a": answer(b"ok"), "/b": [answer(b"", status=500), answer(b"ok")]}
        await stack.producer()
        await stack.consumer(outgoing_allow=(site.place,))
        urls = [f"json://{site.place}/a", f"json://{site.place}/b"]
        job_id = await stack.submit("notification.send", payload={"urls": urls, "body": "Hi"})
        await stack.check_promise()
        row = await stack.row(job_id)
        assert (row["state"], row["attempts"]) == ("COMPLETED", 2)
        assert sorted(site.paths) == ["/a", "/b", "/b"]
