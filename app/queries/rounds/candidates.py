"""Candidates of items, their verdicts, and what was admitted of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.lifecycle import AuthorKind
from app.models import (
    Admission,
    Candidate,
    Item,
    ProjectImage,
    Round,
    RoundCandidate,
    Run,
    Sample,
    VerdictRow,
)
from app.queries.counted import counted_judgements, is_counted_candidate
from app.run_results import DrawCounts


def list_judged_candidate_ids(
    session: Session, item_ids: Sequence[int], *, before_round_id: int
) -> set[int]:
    """Returns candidates of these items that have a verdict that counts from an earlier round."""
    return set(
        session.scalars(
            select(VerdictRow.candidate_id)
            .join(Candidate, Candidate.id == VerdictRow.candidate_id)
            .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
            .where(Candidate.item_id.in_(item_ids), VerdictRow.round_id < before_round_id)
            .distinct()
        )
    )


def usable_items_statement(project_id: int) -> Select[int]:
    """Returns the statement that selects the ids of items that are neither excluded nor of a
    withdrawn image.
    """
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
    """Returns (item, candidate, text, is shown, draws) of the candidates of a round's items that
    count, items in order."""
    return session.execute(
        select(
            RoundCandidate.item_id,
            Candidate.id,
            Candidate.text,
            RoundCandidate.is_shown,
            RoundCandidate.n_draws,
        )
        .join(Candidate, Candidate.id == RoundCandidate.candidate_id)
        .where(RoundCandidate.round_id == round_id, is_counted_candidate())
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


def store_candidates(
    session: Session, texts: Mapping[tuple[int, str], str], author_kind: AuthorKind
) -> dict[tuple[int, str], int]:
    """Keep texts as candidates, unless they are there already; returns the candidate of each.

    texts: by item and text key.
    """
    if not texts:
        return {}
    session.execute(
        pg_insert(Candidate).on_conflict_do_nothing(index_elements=["item_id", "text_key"]),
        [
            {"item_id": item_id, "text_key": key, "text": text, "author_kind": author_kind}
            for (item_id, key), text in sorted(texts.items())
        ],
    )
    rows = session.execute(
        select(Candidate.id, Candidate.item_id, Candidate.text_key).where(
            Candidate.item_id.in_({item_id for item_id, _ in texts})
        )
    )
    return {(item_id, key): id_ for id_, item_id, key in rows if (item_id, key) in texts}


def insert_samples(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what a model drew."""
    if rows:
        session.execute(insert(Sample), rows)


def insert_round_candidates(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put candidates into a round, each with whether people see it."""
    if rows:
        session.execute(insert(RoundCandidate), rows)


def count_draws(session: Session, round_id: int) -> DrawCounts:
    """Counts what was drawn for the items of a round, and what of it people see."""
    draws, candidates, shown = session.execute(
        select(
            func.coalesce(func.sum(RoundCandidate.n_draws), 0),
            func.count(),
            func.count().filter(RoundCandidate.is_shown),
        ).where(RoundCandidate.round_id == round_id, is_counted_candidate())
    ).one()
    cut = session.scalar(
        select(func.count())
        .select_from(Sample)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_id, Sample.is_cut.is_(True), Sample.candidate_id.is_not(None))
    )
    return DrawCounts(draws=int(draws), cut_draws=cut or 0, candidates=candidates, shown=shown)
