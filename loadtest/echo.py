"""The bare floor: the least that an aiohttp server can do with a POST of JSON. `python -m loadtest.echo PORT`.

It decodes the body, encodes it again and answers 202: what any producer written on aiohttp has to do before it
validates or stores a thing. uvloop, no access log, several processes may share a port, like the producer.
"""

import sys

import orjson
import uvloop
from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """Decode, encode, answer."""
    return web.Response(body=orjson.dumps(orjson.loads(await request.read())), status=202, content_type="application/json")


async def health(_: web.Request) -> web.Response:
    """Say that the server is up."""
    return web.Response(text="ok")


def main() -> None:
    """Serve until SIGTERM."""
    app = web.Application()
    app.add_routes([web.post("/jobs", echo), web.get("/readyz", health)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), reuse_port=True, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
