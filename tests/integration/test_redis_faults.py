"""The client library's own ideas about faults must not become ours: no command is sent twice, no read waits for ever."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from chaos.proxy import Proxy, proxied
from shared.broker import Broker
from shared.errors import BrokerUnavailableError
from shared.ids import new_id
from shared.keys import Keys
from shared.redis_client import GroupMissingError
from shared.settings import Settings
from tests.support.eventually import eventually

TIMEOUT_SECONDS = 0.5


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A wire to Redis that can break."""
    async with proxied(settings.redis_url) as running:
        yield running


@pytest.fixture
async def shaky(settings: Settings, proxy: Proxy) -> AsyncIterator[Broker]:
    """A broker at the end of that wire; its scripts are known to the server."""
    connection = Broker(proxy.url, Keys(settings.stream), settings.group, timeout=TIMEOUT_SECONDS)
    for script in connection._scripts.values():
        await connection.client.script_load(script.script)
    yield connection
    await connection.close()


@pytest.mark.parametrize("reset", [False, True], ids=["silence", "reset"])
async def test_a_publish_whose_answer_is_lost_is_not_sent_again(reset: bool, shaky: Broker, proxy: Proxy, broker: Broker) -> None:
    """redis-py's default would repeat it and add the entry twice; ours says "unknown" after one try."""
    job_id = new_id()
    proxy.drop_reply(job_id.encode(), reset=reset)
    with pytest.raises(BrokerUnavailableError):
        await shaky.publish([("normal", job_id)])
    assert proxy.reply_dropped.is_set()
    assert proxy.requests.count(job_id.encode()) == 1
    assert await broker.client.xlen(broker.keys.base) == 1
    await shaky.publish([("normal", new_id())])  # on a new connection


@pytest.mark.parametrize("reset", [False, True], ids=["silence", "reset"])
async def test_no_single_command_is_sent_again_either(reset: bool, shaky: Broker, proxy: Proxy) -> None:
    """The rule holds for the client, whatever it is asked."""
    proxy.drop_reply(b"a-field-of-mine", reset=reset)
    with pytest.raises(Exception, match=r".") as caught:
        await shaky.client.xadd(shaky.keys.base, {"a-field-of-mine": "1"})
    assert not isinstance(caught.value, AssertionError)
    assert proxy.requests.count(b"a-field-of-mine") == 1


async def test_a_blocking_read_that_never_returns_ends_by_its_time_limit(shaky: Broker, proxy: Proxy, broker: Broker) -> None:
    """The cable is pulled while XREADGROUP waits: the reader hears of it, and reads on when it is back."""
    await broker.ensure_groups()
    await shaky.ping()
    reading = asyncio.create_task(shaky.wait("reader", 3, 0.1))
    proxy.black_hole()
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        await reading
    assert time.monotonic() - began < TIMEOUT_SECONDS + 2
    proxy.heal()
    await broker.publish([("normal", new_id())])
    assert len(await shaky.wait("reader", 3, 1)) == 1


async def test_a_read_may_block_longer_than_other_commands_may_take(shaky: Broker, broker: Broker, settings: Settings) -> None:
    """The reader's time limit is above BLOCK, so that waiting is no error."""
    await broker.ensure_groups()
    reader = Broker(settings.redis_url, Keys(settings.stream), settings.group, timeout=TIMEOUT_SECONDS + 0.2)
    assert await reader.wait("reader", 3, 0.2) == []
    await reader.close()
    await shaky.ping()


async def test_what_is_down_is_named_and_comes_back(shaky: Broker, proxy: Proxy) -> None:
    """Refused, cut or slow: one kind of error, with a hint; afterwards the same client works."""
    proxy.refuse()
    with pytest.raises(BrokerUnavailableError) as caught:
        await shaky.ping()
    assert "REDIS_URL" in caught.value.hint
    proxy.heal()
    await shaky.ping()
    proxy.delay(TIMEOUT_SECONDS)
    with pytest.raises(BrokerUnavailableError):
        await shaky.ping()
    proxy.heal()
    await shaky.ping()


async def test_flushall_during_block_is_told_and_a_new_group_delivers_what_is_there(broker: Broker) -> None:
    """The waiting read ends with "the group is missing"; entries added before the group was made again are delivered."""
    waiting = asyncio.create_task(broker.wait("reader", 3, 5))
    await _until_blocked(broker)
    await broker.client.delete(*broker.keys.all())
    with pytest.raises(GroupMissingError):
        await waiting
    with pytest.raises(GroupMissingError):
        await broker.take("reader", 3)
    job_id = new_id()
    await broker.publish([("low", job_id)])
    await broker.ensure_groups()
    assert [entry.job_id for entry in await broker.take("reader", 3)] == [job_id]


async def _until_blocked(broker: Broker) -> None:
    async def blocked() -> bool:
        return bool((await broker.client.info("clients"))["blocked_clients"])

    await eventually(blocked)


async def test_a_write_can_be_cancelled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio.wait_for, by which redis-py limits writes, may lose a cancellation on Python 3.11, and with it the end of a process."""

    def forbidden(*_: object) -> None:
        raise AssertionError("asyncio.wait_for")

    fresh = Broker(settings.redis_url, Keys(settings.stream), settings.group)
    monkeypatch.setattr(asyncio, "wait_for", forbidden)
    await fresh.ping()
    await fresh.publish([("normal", new_id())])
    assert (await fresh.depths())["normal"] == 1
    await fresh.close()
