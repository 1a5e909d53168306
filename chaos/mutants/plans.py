"""For each mistake the segment that should bring it to light: which faults, which jobs, which settings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chaos.mutants.mistakes import MISTAKES
from chaos.segment import Plan
from chaos.shape import Shape

SEED = 20261123
SLOW_SEED = 183292  # one by which the way from the consumers to Redis is slow more than once
SHORT_LEASE = {"MILLSTREAM_LEASE_SECONDS": "3", "MILLSTREAM_HEARTBEAT_SECONDS": "1"}
MANY_SLOTS = {"MILLSTREAM_CONCURRENCY": "2500", "MILLSTREAM_MAX_CRASHES": "10"}
PATIENCE_SECONDS = 40.0
PLAIN = {"seconds": 0.01}
GIVES_UP = ("chaos.work", {"misdeed": "give_up", "times": 100})

BASE = Plan(
    seed=SEED,
    theme="mutant",
    faults=(),
    seconds=15.0,
    rate=30.0,
    shape=Shape(producers=2, consumers=2),
    hands=1,
    patience=PATIENCE_SECONDS,
    settings=SHORT_LEASE,
)

PLANS: Mapping[str, Mapping[str, Any]] = {
    "settle-does-not-wait-for-the-disk": {"faults": ("postgres.immediate",)},
    "answer-before-commit": {"faults": ("producer.kill", "producer.kill.point", "postgres.kill"), "hands": 2, "seconds": 25.0},
    "publish-before-commit": {},
    "jobs-are-stored-twice": {},
    "producers-refuse-after-a-while": {},
    "reads-forget": {},
    "one-holds-its-lease-and-does-not-read": {},
    "a-process-gives-up": {},
    "the-last-of-a-bulk-is-dropped": {},
    "time-is-not-asked-for": {},
    "nobody-drains": {"faults": ("upgrade.rolling",)},
    "webhooks-are-given-up-at-once": {"seconds": 30.0},
    "results-are-mixed-up": {},
    "retries-are-late": {},
    "ghosts-stay": {"faults": ("consumer.kill",), "pause": (12.0, 13.0), "seconds": 26.0},
    "ticks-are-doubled": {},
    "ack-before-settle": {"faults": ("consumer.kill", "consumer.kill.point")},
    "no-fence": {  # who wakes up finds that the job is done, or that another runs it
        "faults": ("consumer.freeze.past",),
        "jobs": (("chaos.work", {"seconds": 1.0}), ("chaos.work", {"seconds": 4.0})),
        "settings": SHORT_LEASE | MANY_SLOTS,
    },
    "no-fence-of-failures": {
        "faults": ("consumer.freeze.past",),
        "jobs": (("chaos.work", {"seconds": 4.0, "misdeed": "raise", "times": 1}),),
        "settings": SHORT_LEASE | MANY_SLOTS,
    },
    "no-fence-of-snoozes": {
        "faults": ("consumer.freeze.past",),
        "jobs": (("chaos.work", {"seconds": 4.0, "misdeed": "snooze", "times": 1}),),
        "settings": SHORT_LEASE | MANY_SLOTS,
    },
    "no-fence-of-hand-backs": {  # who wakes up gives back what it had claimed and another runs; pauses, so that it is not that one's freeze
        "faults": ("consumer.freeze.claimed",),
        "pause": (10.0, 11.0),
        "seconds": 45.0,
        "patience": 90.0,
        "jobs": (("chaos.work", {"seconds": 6.0}),),
        "settings": SHORT_LEASE | MANY_SLOTS,
    },
    "a-service-stumbles": {},
    "no-reconciler": {"faults": ("redis.flush", "redis.empty")},
    "no-reaper": {"faults": ("consumer.kill",)},
    "cursor-begins-anew": {
        "faults": ("consumer.kill",),
        "pause": (10.0, 12.0),
        "rate": 30.0,
        "seconds": 24.0,
        "shape": Shape(producers=2, consumers=3),
        "jobs": (("chaos.work", {"seconds": 18.0}),),  # some two thousand at a time: more than one look of the reaper sees
        "settings": SHORT_LEASE | MANY_SLOTS,
        "patience": 90.0,
    },
    "group-at-the-end": {  # few slots and many bursts: there is something unread to skip
        "faults": ("redis.group",),
        "rate": 15.0,
        "jobs": (("chaos.work", {"seconds": 0.05}),),
        "settings": SHORT_LEASE | {"MILLSTREAM_CONCURRENCY": "4"},
    },
    "consumer-dropped-with-pending": {"faults": ("consumer.kill",)},
    "maxlen": {"jobs": (("chaos.work", {"seconds": 0.3}),)},
    "retries-by-default": {
        "seed": SLOW_SEED,
        "seconds": 45.0,
        "faults": ("network.slow",),
        "jobs": (GIVES_UP,),  # so that it is a letter whose answer is late: a slow way lets few commands pass
    },
    "cancelled-read": {},
    "no-bisect": {"jobs": (("chaos.work", PLAIN),) * 20 + (("chaos.work", PLAIN | {"misdeed": "poison", "times": 100}),)},  # ends with them
    "retry-at-once": {},
    "keys-are-forgotten": {},
    "answer-waits-for-redis": {"faults": ("redis.freeze",), "pause": (1.0, 2.0)},
    "a-new-id-for-each-delivery": {"seconds": 30.0},  # one job in thirty has a webhook, one delivery in five is refused
    "leases-end-late": {"faults": ("consumer.kill",), "pause": (8.0, 9.0), "seconds": 20.0},
    "a-claim-of-what-runs": {"faults": ("redis.group",), "jobs": (("chaos.work", {"seconds": 1.5}),), "settings": SHORT_LEASE | MANY_SLOTS},
    "slow-reads": {},
    "ticks-are-left-out": {},
    "webhooks-are-forgotten": {"seconds": 30.0},
    "letters-are-added-twice": {"jobs": (("chaos.work", PLAIN), GIVES_UP)},
    "who-wakes-up-goes-on": {"faults": ("consumer.freeze.claimed",), "seconds": 25.0, "patience": 90.0},
    "no-look-at-the-clock": {"faults": ("redis.clock",), "jobs": (("chaos.work", PLAIN), ("chaos.work", {"misdeed": "raise", "times": 1}))},
    "attempt-reset-on-replay": {"jobs": (("chaos.work", PLAIN), ("chaos.work", {"misdeed": "give_up", "times": 1}))},
}


def plan_for(name: str) -> tuple[Plan, Plan]:
    """Return the segment with the mistake, and the same one without it."""
    sound = replace(BASE, **PLANS[name])
    return replace(sound, shape=replace(sound.shape, mistake=name)), sound


if missing := MISTAKES.keys() ^ PLANS.keys():
    raise ValueError(f"a mistake and its plan do not match: {missing}")
