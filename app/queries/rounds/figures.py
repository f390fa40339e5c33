"""Counts for the figures of a round: items, admissions, draws."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, func, or_, select, text, true
from sqlalchemy.orm import Session, aliased

from app.lifecycle import (
    Job,
    Purpose,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
    UserKind,
)
from app.models import (
    Admission,
    Branch,
    Item,
    Prediction,
    Round,
    RoundCandidate,
    RoundItem,
    Run,
    RunShard,
    Sample,
    TurnMark,
    VerdictRow,
)
from app.queries.counted import counted_items, counted_judgements, is_mixed_in
from app.queries.rounds.candidates import usable_items_statement
from app.run_results import BranchTally, EpisodeTally
from app.strategies.monologue import MONOLOGUE, Outcome


def count_covered(session: Session, project_id: int, *, round_number: int) -> tuple[int, int, int]:
    """Returns how many train items there are that can be trained on, how many of them have a
    rationale since this round or before, and how many had one before this round.

    An anchor of this round that has none is left out: it is not sampled, so it cannot get one.
    """
    set_aside = aliased(RoundItem)
    anchored = (
        select(RoundItem.item_id)
        .join(Round, Round.id == RoundItem.round_id)
        .where(
            Round.project_id == project_id,
            Round.number == round_number,
            RoundItem.purpose == Purpose.ANCHOR,
            is_mixed_in(),
        )
    )
    trainable = usable_items_statement(project_id).where(
        Item.split == Split.TRAIN,
        ~select(set_aside.id)
        .where(set_aside.item_id == Item.id, set_aside.state == RoundItemState.SET_ASIDE)
        .exists(),
    )
    first_round = (
        select(Admission.item_id, func.min(Round.number).label("number"))
        .join(Round, Round.id == Admission.round_id)
        .where(Round.project_id == project_id, Round.number <= round_number)
        .group_by(Admission.item_id)
        .subquery()
    )
    items = trainable.subquery()
    row = session.execute(
        select(
            func.count(),
            func.count(first_round.c.number),
            func.count().filter(first_round.c.number < round_number),
        )
        .select_from(items)
        .outerjoin(first_round, first_round.c.item_id == items.c.id)
        .where(or_(first_round.c.number.is_not(None), items.c.id.not_in(anchored)))
    ).one()
    return row[0], row[1], row[2]


def count_sampled(session: Session, round_id: int) -> int:
    """Returns the number of items that a round is about, without those that rest."""
    return session.execute(
        select(func.count()).where(
            counted_items.round_id == round_id, counted_items.state != RoundItemState.RESTING
        )
    ).scalar_one()


def count_admitted(session: Session, round_id: int) -> int:
    """Returns the number of rationales that a round admitted."""
    return session.execute(select(func.count()).where(Admission.round_id == round_id)).scalar_one()


def count_fitting_draws(session: Session, round_id: int) -> tuple[int, int]:
    """Returns the draws of a round whose candidate fits by a majority, and those of candidates that
    were judged, in this round or before: what was judged is not shown again when it is drawn again,
    and the better a model is, the more of its draws are that."""
    own = aliased(Round)
    judged_by_then = (
        select(Round.id)
        .join(own, (own.project_id == Round.project_id) & (own.number >= Round.number))
        .where(own.id == round_id)
    )
    drawn = select(RoundCandidate.candidate_id).where(RoundCandidate.round_id == round_id)
    votes = (
        select(
            VerdictRow.candidate_id,
            (2 * func.count().filter(VerdictRow.fits) > func.count()).label("fits"),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .where(
            VerdictRow.round_id.in_(judged_by_then),
            VerdictRow.candidate_id.in_(drawn),
        )
        .group_by(VerdictRow.candidate_id)
        .subquery()
    )
    row = session.execute(
        select(
            func.coalesce(func.sum(RoundCandidate.n_draws).filter(votes.c.fits), 0),
            func.coalesce(func.sum(RoundCandidate.n_draws), 0),
        )
        .join(votes, votes.c.candidate_id == RoundCandidate.candidate_id)
        .where(RoundCandidate.round_id == round_id)
    ).one()
    return int(row[0]), int(row[1])


def find_previous_evaluation(session: Session, round_: Round) -> Run | None:
    """Returns the newest evaluation of an earlier round that succeeded."""
    return session.scalars(
        select(Run)
        .join(Round, Round.id == Run.round_id)
        .where(
            Run.project_id == round_.project_id,
            Run.job == Job.EVALUATE,
            Run.status == RunStatus.SUCCEEDED,
            Round.number < round_.number,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()


def find_evaluation_of(session: Session, round_: Round, strategy: str, *, up_to: int) -> Run | None:
    """Returns the newest evaluation of a strategy in the project that succeeded, in a round up to
    the one with this number. Evaluations of rounds on other base models are left out."""
    own_model = Round.settings["monologue", "observer_model"].astext
    wanted = round_.settings.get("monologue", {}).get("observer_model")
    same_observer = [own_model.is_not_distinct_from(wanted)] if strategy == MONOLOGUE.name else []
    return session.scalars(
        select(Run)
        .join(Round, Round.id == Run.round_id)
        .where(
            Run.project_id == round_.project_id,
            Run.job == Job.EVALUATE,
            Run.strategy == strategy,
            Run.status == RunStatus.SUCCEEDED,
            Round.number <= up_to,
            Round.settings["base_model"].astext == round_.settings["base_model"],
            *same_observer,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()


def list_validation_fits(session: Session, run_ids: Sequence[int]) -> dict[int, bool]:
    """Returns whether the rationale of each validation item fits, as these runs found, without the
    items that have no verdict."""
    rows = session.execute(
        select(Prediction.item_id, Prediction.fits).where(
            Prediction.run_id.in_(run_ids),
            Prediction.split == Split.VALIDATION,
            Prediction.fits.is_not(None),
        )
    )
    return {item_id: bool(fits) for item_id, fits in rows}


def list_completed_before(session: Session, round_: Round) -> Sequence[Round]:
    """Returns the completed rounds of the project before this one, oldest first."""
    return session.scalars(
        select(Round)
        .where(
            Round.project_id == round_.project_id,
            Round.number < round_.number,
            Round.status == RoundStatus.COMPLETED,
        )
        .order_by(Round.number)
    ).all()


def count_episodes(session: Session, round_id: int) -> EpisodeTally | None:
    """Returns what the shards of a round counted of its monologues; None where there were none."""
    counted = func.jsonb_each_text(RunShard.tally).table_valued("key", "value")
    rows = session.execute(
        select(counted.c.key, func.sum(counted.c.value.cast(BigInteger)))
        .select_from(RunShard)
        .join(Run, Run.id == RunShard.run_id)
        .join(counted, true())
        .where(Run.round_id == round_id, RunShard.status == ShardStatus.DONE)
        .group_by(counted.c.key)
    )
    return EpisodeTally.find({key: int(n) for key, n in rows})


@dataclass(frozen=True)
class NotUnderstood:
    """A draw that ended in words which nobody could understand: of which item, and what it said;
    nothing where it said nothing."""

    item_id: int
    external_id: str
    question: str
    said: str


def list_not_understood(session: Session, round_id: int, *, limit: int) -> list[NotUnderstood]:
    """Returns the newest draws of a round that ended so, the newest first."""
    of_run = (
        select(Sample.id, Sample.item_id, Sample.trace["said"].astext.label("said"))
        .where(Sample.run_id == Run.id)
        # As the index has it, which a value that is bound does not match.
        .where(text(f"sample.trace ->> 'outcome' = '{Outcome.NOT_UNDERSTOOD.value}'"))
        .order_by(Sample.id.desc())
        .limit(limit)
        .correlate(Run)
        .lateral("of_run")
    )
    rows = session.execute(
        select(of_run.c.item_id, Item.external_id, Item.question, of_run.c.said)
        .select_from(Run)
        .join(of_run, true())
        .join(Item, Item.id == of_run.c.item_id)
        .where(Run.round_id == round_id, Run.job == Job.GENERATE)
        .order_by(of_run.c.id.desc())
        .limit(limit)
    )
    return [
        NotUnderstood(row.item_id, row.external_id, row.question, row.said or "") for row in rows
    ]


def count_branches(session: Session, round_id: int) -> BranchTally | None:
    """Returns what came of the branches of a round; None where nobody asked for one."""
    row = session.execute(
        select(
            func.count().label("asked"),
            func.count(Branch.trace).label("made"),
            func.count()
            .filter(Branch.trace["outcome"].astext == Outcome.EXPLAINED)
            .label("explained"),
            func.coalesce(func.sum(Branch.n_tokens), 0).cast(BigInteger).label("tokens"),
            func.coalesce(func.sum(Branch.seconds), 0.0).label("seconds"),
        ).where(Branch.round_id == round_id)
    ).one()
    return BranchTally.model_validate(dict(row._mapping)) if row.asked else None


@dataclass(frozen=True)
class MarkCount:
    """How often people said yes, or right, of what a mark is about, of all who could tell."""

    n_yes: int
    n_said: int

    @property
    def share(self) -> float:
        """Returns the share of yes."""
        return self.n_yes / self.n_said


def count_marks(session: Session, round_id: int) -> dict[str, MarkCount]:
    """Returns how people marked the turns of a round, by what of a turn was marked; what nobody
    could tell of is left out."""
    is_yes = TurnMark.value.in_(("yes", "right"))
    rows = session.execute(
        select(TurnMark.of, func.count().filter(is_yes), func.count())
        .join(counted_judgements, counted_judgements.id == TurnMark.judgement_id)
        .where(
            counted_judgements.round_id == round_id,
            counted_judgements.user_kind == UserKind.PERSON,
            TurnMark.value != "cannot_tell",
        )
        .group_by(TurnMark.of)
    )
    return {of: MarkCount(n_yes, n_said) for of, n_yes, n_said in rows}
