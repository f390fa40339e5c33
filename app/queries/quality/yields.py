"""What each way of sampling brought in a round, and what it cost people and machines."""

from sqlalchemy import Float, Subquery, cast, func, select
from sqlalchemy.orm import Session

from app.evidence import YieldLine
from app.lifecycle import Job, UserKind
from app.models import Admission, Round, RoundCandidate, Run, RunShard, Sample
from app.queries.counted import counted_items, counted_judgements


def list_yields(session: Session, round_: Round) -> list[YieldLine]:
    """Returns a line for each strategy, prompt and temperature that a round sampled with.

    Of what was drawn alike, each draw has its share: of the text, of its admission, and of the time
    that people spent on it, which is that on the item by the number of texts that they saw there.
    """
    times = time_per_text(round_.id)
    share = 1 / cast(func.greatest(RoundCandidate.n_draws, 1), Float)
    way = (Sample.strategy, Sample.prompt, Sample.temperature)
    rows = session.execute(
        select(
            *way,
            func.count().label("n_draws"),
            func.coalesce(func.sum(Sample.n_tokens), 0).label("n_tokens"),
            func.coalesce(func.sum(share).filter(RoundCandidate.is_shown), 0.0).label("shown"),
            func.coalesce(func.sum(share).filter(Admission.candidate_id.is_not(None)), 0.0).label(
                "admitted"
            ),
            func.coalesce(func.sum(share * times.c.ms).filter(RoundCandidate.is_shown), 0.0).label(
                "human_ms"
            ),
        )
        .join(Run, Run.id == Sample.run_id)
        .outerjoin(
            RoundCandidate,
            (RoundCandidate.candidate_id == Sample.candidate_id)
            & (RoundCandidate.round_id == round_.id),
        )
        .outerjoin(times, times.c.item_id == RoundCandidate.item_id)
        .outerjoin(
            Admission,
            (Admission.candidate_id == Sample.candidate_id) & (Admission.round_id == round_.id),
        )
        .where(Run.round_id == round_.id, Run.job == Job.GENERATE)
        .group_by(*way)
        .order_by(*way)
    )
    return [YieldLine.model_validate(dict(row._mapping)) for row in rows]


def time_per_text(round_id: int) -> Subquery:
    """Returns, by item, the milliseconds of people for each text that they saw there (`ms`)."""
    shown = (
        select(RoundCandidate.item_id, func.count().label("n"))
        .where(RoundCandidate.round_id == round_id, RoundCandidate.is_shown)
        .group_by(RoundCandidate.item_id)
        .subquery()
    )
    return (
        select(
            counted_items.item_id,
            (func.sum(counted_judgements.counted_ms) / cast(func.max(shown.c.n), Float)).label(
                "ms"
            ),
        )
        .join(counted_judgements, counted_judgements.round_item_id == counted_items.id)
        .join(shown, shown.c.item_id == counted_items.item_id)
        .where(counted_items.round_id == round_id, counted_judgements.user_kind == UserKind.PERSON)
        .group_by(counted_items.item_id)
        .subquery()
    )


def sum_sampling_seconds(session: Session, round_id: int) -> float:
    """Returns how long workers sampled for a round, over all its shards."""
    seconds = select(func.coalesce(func.sum(RunShard.seconds), 0.0)).join(
        Run, Run.id == RunShard.run_id
    )
    found = session.execute(
        seconds.where(Run.round_id == round_id, Run.job == Job.GENERATE)
    ).scalar_one()
    return float(found or 0.0)
