"""Places of check items in rounds: each serves everybody, as often as it may still be used."""

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.lifecycle import Purpose, RoundItemState
from app.models import CheckItem, Round
from app.queries.quality import checks as queries
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import round_items as item_queries
from app.round_settings import JudgingSettings


def put_checks_in(session: Session, round_: Round, settings: JudgingSettings) -> None:
    """Put the check items of a project into a round in which people judge some.

    An item that is in the round already, to be judged for training, stays what it is there.
    """
    if not settings.check_share or not settings.judges.are_people:
        return
    for serving in queries.list_serving(session, round_.project_id):
        if not queries.is_in_round(session, round_.id, serving.check_item.item_id):
            _put_in(session, round_, serving.check_item, n_left=serving.n_left)


def _put_in(session: Session, round_: Round, check_item: CheckItem, *, n_left: int) -> None:
    item_id = check_item.item_id
    place = {
        "round_id": round_.id,
        "project_id": round_.project_id,
        "item_id": item_id,
        "split": queries.get_split(session, item_id),
        "purpose": Purpose.CHECK,
        "state": RoundItemState.STANDING,
        "slots": n_left,
        "max_slots": n_left,
        "random_key": unit_hash("queue", round_.order_key, item_id),
        "check_item_id": check_item.id,
    }
    item_queries.insert_round_items(session, [place])
    candidate_queries.insert_round_candidates(
        session,
        [
            {
                "round_id": round_.id,
                "candidate_id": candidate.candidate_id,
                "item_id": item_id,
                "is_shown": True,
                "rank": rank,
                "n_draws": 0,
                "chosen_by": "check",
            }
            for rank, candidate in enumerate(queries.list_expected(session, check_item.id), start=1)
        ],
    )
