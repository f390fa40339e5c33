"""Items that a run could not do: on record with their reason, while the rest goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.errors import AppError
from app.kit.sentences import Sentence, shortened
from app.lifecycle import FailureKind
from app.models import Item, Run
from app.queries.runs import failures as queries

MAX_SHARE = 0.1
FEW = 3
REASON_LENGTH = 1000


@dataclass(frozen=True)
class Failure:
    """An item without a text, or without all of them, as a worker hands it over."""

    item_id: int
    kind: FailureKind
    reason: str


def are_too_many(n_failed: int, n_items: int) -> bool:
    """Whether something else must be wrong than these items: all failed, or more than a few and
    more than a tenth."""
    return n_failed >= n_items or n_failed > max(FEW, MAX_SHARE * n_items)


def too_many_for_training(n_failed: int, n_items: int, *, item: str, reason: str) -> AppError:
    """Returns the error of a training that would lose too many of its items."""
    return AppError(
        Sentence(
            "%(n)s of %(all)s items cannot be trained on, too many to go on without them. One of "
            "them is %(item)s: %(reason)s Mend the images or the texts, or exclude these items, "
            "then retry the round.",
            n=n_failed,
            all=n_items,
            item=item,
            reason=reason,
        )
    )


def store_failures(
    session: Session, *, run: Run, shard_id: int, attempt: int, failures: Sequence[Failure]
) -> None:
    """Write the failures of a shard.

    Raises AppError when too many items of the run have failed: more than a few and more than a
    tenth, or all. Then something else is wrong than these items, and nothing of the shard is kept.
    """
    if not failures:
        return
    queries.insert_failures(
        session,
        [
            {
                "run_id": run.id,
                "shard_id": shard_id,
                "shard_attempt": attempt,
                "item_id": failure.item_id,
                "kind": failure.kind,
                "reason": shortened(failure.reason, REASON_LENGTH),
            }
            for failure in failures
        ],
    )
    n_failed = queries.count_failures(session, run.id)
    n_items = queries.count_run_items(session, run.id)
    if are_too_many(n_failed, n_items):
        item = session.get_one(Item, failures[0].item_id)
        raise AppError(
            Sentence(
                "%(n)s of %(all)s items could not be done, too many to go on without them. One of "
                "them is %(item)s: %(reason)s Mend the cause, then retry the round: finished "
                "shards are kept.",
                n=n_failed,
                all=n_items,
                item=item.external_id,
                reason=failures[0].reason,
            )
        )
