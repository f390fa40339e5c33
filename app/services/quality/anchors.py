"""Anchors: chosen once from the judged items of a round, and judged again in every later one.

What people pick of the same texts, round after round, tells a better model from people who became
milder. So the choice may not depend on what was picked, or picks would seem to change by
themselves: items that happened to be liked are liked less the next time.
"""

from collections.abc import Collection

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.lifecycle import Purpose, RoundItemState
from app.models import AnchorItem, Round
from app.queries.quality import anchors as queries
from app.queries.quality.checks import find_judged_round, get_split
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import round_items as item_queries
from app.round_settings import LoopSettings
from app.uncertainty import untouched_priority

POOL = 20
"""So many judged items are looked at for each anchor that is wanted."""
MOST = 5
"""At most every fifth judged item becomes an anchor: the others are what the round is about."""
FEWEST_SHOWN = 2
"""One text alone says little about an item."""


def find_serving(
    session: Session, round_: Round, settings: LoopSettings, usable: Collection[int]
) -> list[AnchorItem]:
    """Returns the anchors that a round about to start shows, chosen now where there are too few.

    usable: the train items that could be sampled. None where a critic judges, since it does not
    drift, and in the rounds before people have judged one.
    """
    wanted = settings.judging.anchor_items
    if not wanted or not settings.judging.judges.are_people:
        return []
    known = list(queries.list_anchors(session, round_.project_id))
    serving = [anchor for anchor in known if anchor.item_id in usable]
    serving.sort(key=lambda anchor: unit_hash("anchor", settings.seed, anchor.item_id))
    if len(serving) < wanted:
        free = set(usable) - {anchor.item_id for anchor in known}
        first = known[0].round_id if known else find_judged_round(session, round_.project_id)
        if first is not None:
            serving += _choose(
                session, round_, first, free, seed=settings.seed, n=wanted - len(serving)
            )
    return serving[:wanted]


def _choose(
    session: Session, round_: Round, first: int, free: Collection[int], *, seed: int, n: int
) -> list[AnchorItem]:
    """Add anchors from the judged items of the round `first`: a random part of them, of which
    every so-maniest is taken in order of agreement. So items on which people agree and others are
    as frequent as in the round."""
    judged = queries.list_judged_item_ids(session, first, n_shown=FEWEST_SHOWN)
    n = min(n, len(judged) // MOST)
    pool = sorted(
        (item_id for item_id in judged if item_id in free),
        key=lambda item_id: unit_hash("anchor", seed, item_id),
    )[: POOL * n]
    place = {item_id: number for number, item_id in enumerate(pool)}
    agreement = queries.list_agreement(session, first, pool)
    ranked = sorted(agreement, key=lambda entry: (entry[1], place[entry[0]]))
    n = min(n, len(ranked))
    chosen = [ranked[(2 * number + 1) * len(ranked) // (2 * n)][0] for number in range(n)]
    anchors = [
        AnchorItem(project_id=round_.project_id, item_id=item_id, round_id=first)
        for item_id in sorted(chosen, key=lambda item_id: place[item_id])
    ]
    session.add_all(anchors)
    session.flush()  # their places in the round refer to nothing of them, but figures do
    return anchors


def put_anchors_in(
    session: Session, round_: Round, settings: LoopSettings, anchors: Collection[AnchorItem]
) -> None:
    """Put anchors into a round with the candidates that they were shown with first.

    As many people judge one as any item of the round, and none more where they disagree. They wait
    until sampling opens them, among the others: handed out first they would be known by that.
    """
    for anchor in sorted(anchors, key=lambda one: unit_hash("open", round_.order_key, one.item_id)):
        _put_in(session, round_, settings, anchor)


def _put_in(session: Session, round_: Round, settings: LoopSettings, anchor: AnchorItem) -> None:
    judging, item_id = settings.judging, anchor.item_id
    shown = queries.list_shown_candidates(session, anchor.round_id, item_id)
    is_ordered = judging.order == "uncertainty"
    place = {
        "round_id": round_.id,
        "project_id": round_.project_id,
        "item_id": item_id,
        "split": get_split(session, item_id),
        "purpose": Purpose.ANCHOR,
        "state": RoundItemState.WAITING,
        "slots": judging.overlap,
        "max_slots": judging.overlap,
        "priority": untouched_priority(row.n_draws for row in shown) if is_ordered else 0.0,
        "taken_weight": float(judging.order == "fewest_first"),
        "random_key": unit_hash("queue", round_.order_key, item_id),
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
                "chosen_by": "anchor",
            }
            for rank, candidate in enumerate(shown, start=1)
        ],
    )
