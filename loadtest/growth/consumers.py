"""What more consumers bring, and that they never take anything away."""

from loadtest.growth.amounts import Amounts
from loadtest.growth.curve import Curve, Points, Say, Target, at_least
from loadtest.growth.queued import RATE, drain, fill
from loadtest.rounds import shown
from loadtest.stack import Stack
from loadtest.stats import Sample


def _measure(stack: Stack, amounts: Amounts, say: Say) -> Points:
    points: dict[str, Sample] = {}
    for consumers in amounts.consumers:
        stack.fresh()
        fill(stack, amounts.consumer_jobs)
        stack.settle()
        points[f"{consumers} of them"] = drain(stack, amounts.consumer_jobs, consumers)
        say(f"{consumers}: {shown(points[f'{consumers} of them'])}")
    return points


def _targets(points: Points) -> list[Target]:
    one, *more = points
    return [at_least(f"{RATE} of {name} / of {one}", points[name][RATE] / points[one][RATE], 0.9) for name in more]


CONSUMERS = Curve(
    name="consumers",
    title="drain of the same jobs by more and more consumers",
    method="As `queued`. All consumers start at the same moment; CPU us a job is that of all of them. More than there are cores "
    "can win nothing.",
    measure=_measure,
    targets=_targets,
)
