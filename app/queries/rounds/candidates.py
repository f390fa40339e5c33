"""Candidates of items, their verdicts, and what was admitted of them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, exists, func, select
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState, RoundStatus, UserKind
from app.models import (
    Admission,
    Candidate,
    Item,
    ProjectImage,
    Round,
    RoundCandidate,
    RoundItem,
    Sample,
    VerdictRow,
    WrittenRationale,
)
from app.queries.counted import counted_items, counted_judgements


def list_judged_candidate_ids(
    session: Session, item_ids: Sequence[int], *, before_round_id: int
) -> set[int]:
    """Candidates of these items that have a verdict from an earlier round."""
    return set(
        session.scalars(
            select(VerdictRow.candidate_id)
            .join(Candidate, Candidate.id == VerdictRow.candidate_id)
            .where(Candidate.item_id.in_(item_ids), VerdictRow.round_id < before_round_id)
            .distinct()
        )
    )


def votes_statement(round_id: int, judge_kind: UserKind) -> Select[int, int, int, int]:
    """(candidate, item, votes that it fits, votes) over the judgements of one kind that count.

    Items set aside are left out, since their answer is in doubt, and so are excluded ones.
    """
    fits = func.count().filter(VerdictRow.fits)
    return (
        select(VerdictRow.candidate_id, counted_items.item_id, fits, func.count())
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .where(
            Item.excluded_at.is_(None),
            VerdictRow.round_id == round_id,
            counted_judgements.user_kind == judge_kind,
            counted_items.state != RoundItemState.SET_ASIDE,
        )
        .group_by(VerdictRow.candidate_id, counted_items.item_id)
        .order_by(VerdictRow.candidate_id)
    )


def list_votes(
    session: Session, round_id: int, judge_kind: UserKind
) -> Sequence[Row[int, int, int, int]]:
    return session.execute(votes_statement(round_id, judge_kind)).all()


def usable_items_statement(project_id: int) -> Select[int]:
    """Ids of items that are neither excluded nor of a withdrawn image."""
    return (
        select(Item.id)
        .join(
            ProjectImage,
            (ProjectImage.project_id == Item.project_id)
            & (ProjectImage.image_sha256 == Item.image_sha256),
        )
        .where(
            Item.project_id == project_id,
            Item.excluded_at.is_(None),
            ProjectImage.withdrawn_at.is_(None),
        )
    )


def list_admitted(session: Session, project_id: int) -> Sequence[Row[int, int]]:
    """(item, candidate) admitted in any round so far, usable items only, each once.

    Items that the newest judgements set aside are left out until an admin resolves them.
    """
    return session.execute(
        select(Admission.item_id, Admission.candidate_id)
        .join(Round, Round.id == Admission.round_id)
        .where(
            Round.project_id == project_id,
            Admission.item_id.in_(usable_items_statement(project_id)),
            Admission.item_id.not_in(_set_aside_statement(project_id)),
        )
        .distinct()
        .order_by(Admission.item_id, Admission.candidate_id)
    ).all()


def list_written(
    session: Session, project_id: int, *, closing_round_id: int
) -> Sequence[Row[int, int, int, str]]:
    """(item, judgement, mended candidate, text) that people wrote, oldest first, items in order.

    Of the same items as `list_admitted`, and of judgements that count: submitted ones of rounds
    that admitted by the votes of people, or come to it now. A round that was cancelled before it
    admitted anything is none.
    """
    counts = (
        (Round.id == closing_round_id)
        | Round.status.in_([RoundStatus.TRAINING, RoundStatus.EVALUATING, RoundStatus.COMPLETED])
        | exists().where(Admission.round_id == Round.id)
    )
    return session.execute(
        select(
            WrittenRationale.item_id,
            WrittenRationale.judgement_id,
            WrittenRationale.candidate_id,
            WrittenRationale.text,
        )
        .join(counted_judgements, counted_judgements.id == WrittenRationale.judgement_id)
        .join(Round, Round.id == counted_judgements.round_id)
        .where(
            Round.project_id == project_id,
            Round.settings["judging"]["judges"].astext == "people",
            counts,
            counted_judgements.user_kind == UserKind.PERSON,
            WrittenRationale.erased_at.is_(None),
            WrittenRationale.item_id.in_(usable_items_statement(project_id)),
            WrittenRationale.item_id.not_in(_set_aside_statement(project_id)),
        )
        .order_by(
            WrittenRationale.item_id, WrittenRationale.judgement_id, WrittenRationale.candidate_id
        )
    ).all()


def list_decided_keys(session: Session, item_ids: Collection[int]) -> set[tuple[int, str]]:
    """(item, text key) of the candidates on which there is a verdict or an admission."""
    is_judged = exists().where(VerdictRow.candidate_id == Candidate.id)
    is_admitted = exists().where(Admission.candidate_id == Candidate.id)
    rows = session.execute(
        select(Candidate.item_id, Candidate.text_key).where(
            Candidate.item_id.in_(item_ids), is_judged | is_admitted
        )
    )
    return {(item_id, key) for item_id, key in rows}


def _set_aside_statement(project_id: int) -> Select[int]:
    return (
        select(RoundItem.item_id)
        .join(Item, Item.id == RoundItem.item_id)
        .where(RoundItem.project_id == project_id, RoundItem.state == RoundItemState.SET_ASIDE)
    )


def count_admitted_per_item(session: Session, project_id: int) -> dict[int, int]:
    rows = session.execute(
        select(Admission.item_id, func.count(Admission.candidate_id.distinct()))
        .join(Round, Round.id == Admission.round_id)
        .where(Round.project_id == project_id)
        .group_by(Admission.item_id)
    )
    return dict(rows.all())


def list_round_candidates(
    session: Session, round_id: int
) -> Sequence[Row[int, int, str, bool, int]]:
    """(item, candidate, text, is shown, draws) of a round, items in order."""
    return session.execute(
        select(
            RoundCandidate.item_id,
            Candidate.id,
            Candidate.text,
            RoundCandidate.is_shown,
            RoundCandidate.n_draws,
        )
        .join(Candidate, Candidate.id == RoundCandidate.candidate_id)
        .where(RoundCandidate.round_id == round_id)
        .order_by(RoundCandidate.item_id, RoundCandidate.rank)
    ).all()


def cut_candidates_statement(candidate_ids: ColumnElement[Any]) -> Select[int | None]:
    """Returns the statement of which of these candidates are cut at the limit of tokens: each of
    their draws is known to have ended there. candidate_ids: an array of the database."""
    return (
        select(Sample.candidate_id)
        .where(Sample.candidate_id == func.any(candidate_ids))
        .group_by(Sample.candidate_id)
        .having(func.bool_and(func.coalesce(Sample.is_cut, False)))
    )


def list_ids_by_key(session: Session, keys: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    """(item, candidate) of the given (item, text key) pairs."""
    wanted = set(keys)
    rows = session.execute(
        select(Candidate.item_id, Candidate.id, Candidate.text_key)
        .where(Candidate.item_id.in_({item_id for item_id, _ in keys}))
        .order_by(Candidate.item_id, Candidate.id)
    )
    return [(item_id, id_) for item_id, id_, key in rows if (item_id, key) in wanted]
