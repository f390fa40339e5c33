"""Adjudication: of what people differ on, one person who has not judged it decides what fits.

A decision is no vote. It stands beside the votes, outranks them under every policy when the round
is closed, and can be changed or taken back until then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.admission import AdjudicationUndone, ItemAdjudicated
from app.kit.errors import InvalidInput, NotFound, StaleVersion
from app.kit.sentences import Sentence
from app.kit.texts import unit_hash
from app.lifecycle import JUDGEABLE_ROUND, RoundItemState
from app.models import Adjudication, Candidate, Item, Round, RoundItem, User
from app.queries.admission import adjudications as queries
from app.services.events import record
from app.services.judging.ending import end_soon
from app.services.refusals import JudgedByOneself, NotDisputed, RoundNotJudging


@dataclass(frozen=True)
class Dispute:
    """An item of a round on which people differ: what they said, without their names, and what is
    decided of it."""

    round_item: RoundItem
    item: Item
    candidates: Sequence[Candidate]
    said: Sequence[queries.Said]
    """In an order that tells nothing of who it is: another one for every item."""
    decisions: Mapping[int, Adjudication]

    @property
    def open_to_decision(self) -> frozenset[int]:
        """Returns the candidates that an adjudicator decides: what people differ on, and what was
        decided before."""
        shown = {candidate.id for candidate in self.candidates}
        return (frozenset(self.round_item.disputed) | self.decisions.keys()) & shown

    @property
    def version(self) -> str:
        """Returns a mark of what is asked and decided: another one whenever either changes."""
        asked = ",".join(map(str, sorted(self.open_to_decision)))
        decided = max((one.decided_at for one in self.decisions.values()), default=None)
        return f"{asked} {decided.isoformat() if decided else ''}"


def find_dispute(session: Session, round_: Round, item_id: int, user: User) -> Dispute:
    """Returns an item of a round for somebody who adjudicates it.

    Raises NotFound where the round does not have it, NotDisputed where there is nothing to decide,
    and JudgedByOneself where this person has judged it.
    """
    return _find(session, round_, item_id, user, for_update=False)


def find_next(session: Session, round_: Round, user: User) -> int | None:
    """Returns the next item that somebody can adjudicate; None where nothing is left for them.

    Each adjudicator begins at another place, so that two at once seldom meet.
    """
    start = unit_hash(round_.order_key, "adjudicator", user.id)
    return queries.find_undecided(session, round_.id, user.id, start=start)


def adjudicate(
    session: Session,
    round_: Round,
    item_id: int,
    fits: Mapping[int, bool],
    *,
    version: str,
    actor: User,
) -> None:
    """Keep what an adjudicator decides of every candidate that people differ on.

    version: that of the dispute as they saw it. Raises StaleVersion where it has changed since,
    RoundNotJudging where the round is not judged any more, and what `find_dispute` raises.
    """
    round_ = _hold(session, round_)
    dispute = _find(session, round_, item_id, actor, for_update=True)
    if dispute.version != version:
        raise StaleVersion(
            Sentence(
                "This item was decided, or judged anew, while you looked at it. Here is how it "
                "stands now: decide again where you see it otherwise."
            )
        )
    if fits.keys() != dispute.open_to_decision:
        raise InvalidInput(
            Sentence("Decide every rationale on which people differ: does it fit, or not?")
        )
    queries.store_decisions(
        session, round_.id, item_id, fits, decided_by_id=actor.id, now=datetime.now(UTC)
    )
    record(
        session,
        ItemAdjudicated(
            item_id=item_id, n_fits=sum(fits.values()), n_misfits=len(fits) - sum(fits.values())
        ),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=actor,
    )
    # It may have been the last one that the round waited for.
    end_soon(session, round_.id)


def take_back(session: Session, round_: Round, item_id: int, *, actor: User) -> bool:
    """Forget what was decided of an item; returns whether anything was.

    Raises RoundNotJudging where the round is not judged any more, and what `find_dispute` raises.
    """
    round_ = _hold(session, round_)
    _find(session, round_, item_id, actor, for_update=True)
    if not queries.delete_decisions(session, round_.id, item_id):
        return False
    record(
        session,
        AdjudicationUndone(item_id=item_id),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=actor,
    )
    return True


def _hold(session: Session, round_: Round) -> Round:
    """Lets nobody close the round until the end of the transaction."""
    round_ = queries.hold_round(session, round_.id)
    if round_.status not in JUDGEABLE_ROUND:
        raise RoundNotJudging(
            Sentence(
                "Round %(number)s is %(status)s; disputed items are decided only while it is "
                "judged, before anything is admitted.",
                number=round_.number,
                status=round_.status,
            )
        )
    return round_


def _find(
    session: Session, round_: Round, item_id: int, user: User, *, for_update: bool
) -> Dispute:
    place = queries.find_place(session, round_.id, item_id, for_update=for_update)
    if place is None:
        raise NotFound(Sentence("There is no such item in this round."))
    round_item, item = place
    if queries.has_judged(session, round_item.id, user.id):
        raise JudgedByOneself(
            Sentence("You have judged this item: who took a side does not decide between them.")
        )
    decisions = queries.list_decisions(session, round_.id, item_id)
    if item.excluded_at is not None or round_item.state is not RoundItemState.DONE:
        raise NotDisputed(
            Sentence("This item is excluded, set aside, or not judged by everybody yet.")
        )
    if not round_item.disputed and not decisions:
        raise NotDisputed(Sentence("People agree on this item: there is nothing to decide."))
    said = queries.list_said(session, round_item.id)
    return Dispute(
        round_item=round_item,
        item=item,
        candidates=queries.list_shown(session, round_item.id),
        said=sorted(
            said, key=lambda one: unit_hash(round_.order_key, "said", item_id, one.user_id)
        ),
        decisions=decisions,
    )
