"""Places of compared items in rounds: mixed in among those that people judge for training."""

from collections import defaultdict

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.lifecycle import JUDGEABLE_ROUND, Purpose, RoundItemState, RoundStatus, Split
from app.models import ComparisonItem, Round
from app.queries.quality import comparisons as queries
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import round_items as item_queries
from app.queries.rounds import rounds as round_queries
from app.round_settings import JudgingSettings, LoopSettings


def put_in_open_round(session: Session, project_id: int) -> None:
    """Let people judge what was just sampled, where a round of the project is being judged."""
    found = round_queries.find_open_round(session, project_id)
    if found is None:
        return
    round_ = round_queries.lock_round(session, found.id)
    if round_.status in JUDGEABLE_ROUND:
        put_comparisons_in(session, round_)


def put_comparisons_in(session: Session, round_: Round) -> None:
    """Put what waits to be compared into a round in which people judge. It waits there while the
    round is being sampled, and opens among the others.

    An item that is in the round already goes into a later one.
    """
    judging = LoopSettings.model_validate(round_.settings).judging
    if not judging.judges.are_people:
        return
    placed: dict[int, list[int]] = defaultdict(list)
    seen: set[int] = set()
    waiting = queries.list_waiting_items(session, round_.project_id, round_.id)
    for entry in sorted(waiting, key=lambda e: unit_hash("open", round_.order_key, e.item_id)):
        if entry.item_id not in seen:
            seen.add(entry.item_id)
            _put_in(session, round_, judging, entry)
            placed[entry.comparison_id].append(entry.item_id)
    for comparison_id, item_ids in placed.items():
        queries.note_carrier(session, comparison_id, item_ids, round_.id)


def _put_in(
    session: Session, round_: Round, judging: JudgingSettings, entry: ComparisonItem
) -> None:
    is_sampled = round_.status is RoundStatus.JUDGING
    place = {
        "round_id": round_.id,
        "project_id": round_.project_id,
        "item_id": entry.item_id,
        "split": Split.TEST,
        "purpose": Purpose.COMPARISON,
        "state": RoundItemState.OPEN if is_sampled else RoundItemState.WAITING,
        "slots": judging.overlap,
        "max_slots": judging.overlap,
        "taken_weight": float(judging.order == "fewest_first"),
        "random_key": unit_hash("queue", round_.order_key, entry.item_id),
    }
    item_queries.insert_round_items(session, [place])
    shown = queries.list_shown_ids(session, entry.comparison_id, entry.item_id)
    shown.sort(key=lambda candidate_id: unit_hash("rank", round_.order_key, candidate_id))
    candidate_queries.insert_round_candidates(
        session,
        [
            {
                "round_id": round_.id,
                "candidate_id": candidate_id,
                "item_id": entry.item_id,
                "is_shown": True,
                "rank": rank,
                "n_draws": 0,
                "chosen_by": "comparison",
            }
            for rank, candidate_id in enumerate(shown, start=1)
        ],
    )
