"""How much of what a round gained may be people who judge otherwise, by its anchors."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.evidence import AnchorFigures, Figure
from app.lifecycle import Purpose
from app.measures import Undefined
from app.metrics.intervals import bootstrap_mean_interval
from app.models import Round
from app.queries.quality import anchors as queries
from app.queries.quality.judgements import RoundJudgements


def measure_anchors(session: Session, round_: Round, _judgements: RoundJudgements) -> AnchorFigures:
    """Returns the fit rate of a round, and that of its anchors, now and when they were first shown.

    A fit rate is the mean over items of the share of shown candidates that people picked. Of the
    anchors, the items are those that people judged both times, so that the change is paired.
    """
    fit = list(queries.list_fit_shares(session, round_.id, Purpose.TRAINING).values())
    firsts = queries.list_first_rounds(session, round_.id)
    now = queries.list_fit_shares(session, round_.id, Purpose.ANCHOR)
    # All anchors of a project come from one round.
    first = next(iter(firsts.values()), None)
    before: dict[int, float] = {}
    first_fit: list[float] = []
    if first is not None:
        shares = queries.list_fit_shares(session, first.id, Purpose.TRAINING)
        first_fit = list(shares.values())
        before = {item_id: shares[item_id] for item_id in now if item_id in shares}
    return AnchorFigures(
        fit=_mean(fit),
        n_anchors=len(firsts),
        first_number=first.number if first else None,
        first_fit=_mean(first_fit).value,
        anchors=_mean([now[item_id] for item_id in before]),
        first_anchors=_mean(list(before.values())),
        change=_mean([now[item_id] - before[item_id] for item_id in before]),
    )


def _mean(values: Sequence[float]) -> Figure:
    if not values:
        return Figure(undefined=Undefined.NOTHING)
    low, high = bootstrap_mean_interval(values) or (None, None)
    return Figure(value=sum(values) / len(values), low=low, high=high, n=len(values))
