"""Turns draws that failed into items that did."""

from collections import Counter
from collections.abc import Sequence

from app.lifecycle import FailureKind
from app.services.runs.failures import Failure
from worker.ml.types import Failed, Sampled


def collect_failures(made: Sequence[tuple[int, Sampled | Failed]]) -> list[Failure]:
    """Returns one failure for each item of which a draw failed, in the order of the items; its
    reason is the first draw's. An item that has some of its draws goes on with those.
    """
    n_draws = Counter(item_id for item_id, _ in made)
    n_failed = Counter(item_id for item_id, draw in made if isinstance(draw, Failed))
    failures: dict[int, Failure] = {}
    for item_id, draw in made:
        if isinstance(draw, Failed) and item_id not in failures:
            reason = draw.reason
            if n_failed[item_id] < n_draws[item_id]:
                reason = f"{n_failed[item_id]} of {n_draws[item_id]} draws are missing. {reason}"
            failures[item_id] = Failure(item_id, FailureKind(draw.cause), reason)
    return list(failures.values())
