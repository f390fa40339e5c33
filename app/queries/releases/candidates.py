"""The candidates of a release: their texts, the draws they come from, their admission."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from app.lifecycle import AuthorKind, UserKind
from app.models import Adapter, Adjudication, Admission, Candidate, Round, Run, Sample
from app.queries.blocks import blocks
from app.strategies.monologue import MONOLOGUE, MonologueTrace, Outcome


@dataclass(frozen=True)
class CandidateSource:
    id: int
    item_id: int
    text: str
    author_kind: AuthorKind
    author_id: int | None
    key_version: int


def list_candidates(session: Session, candidate_ids: Sequence[int]) -> list[CandidateSource]:
    found: list[CandidateSource] = []
    for block in blocks(candidate_ids):
        rows = session.execute(
            select(
                Candidate.id,
                Candidate.item_id,
                Candidate.text,
                Candidate.author_kind,
                Candidate.author_id,
                Candidate.key_version,
            ).where(Candidate.id.in_(block))
        )
        found += [CandidateSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class AdmissionSource:
    candidate_id: int
    round_number: int
    policy: str
    judge_kind: UserKind
    n_fits: int
    n_votes: int
    probability: float | None
    """Where the policy weighs people."""
    is_adjudicated: bool


def list_admissions(
    session: Session, item_ids: Sequence[int], round_ids: Sequence[int]
) -> list[AdmissionSource]:
    rows = session.execute(
        select(
            Admission.candidate_id,
            Round.number,
            Admission.policy,
            Admission.judge_kind,
            Admission.n_fits,
            Admission.n_votes,
            Admission.probability,
            Admission.is_adjudicated,
        )
        .join(Round, Round.id == Admission.round_id)
        .where(Admission.item_id.in_(item_ids), Admission.round_id.in_(round_ids))
        .order_by(Admission.candidate_id, Round.number)
    )
    return [AdmissionSource(*row) for row in rows]


@dataclass(frozen=True)
class AdjudicationSource:
    candidate_id: int
    round_number: int
    fits: bool


def list_adjudications(
    session: Session, item_ids: Sequence[int], round_ids: Sequence[int]
) -> list[AdjudicationSource]:
    """Returns what adjudicators decided of the candidates of these items in these rounds."""
    rows = session.execute(
        select(Adjudication.candidate_id, Round.number, Adjudication.fits)
        .join(Round, Round.id == Adjudication.round_id)
        .where(Adjudication.item_id.in_(item_ids), Adjudication.round_id.in_(round_ids))
        .order_by(Adjudication.candidate_id, Round.number)
    )
    return [AdjudicationSource(*row) for row in rows]


@dataclass(frozen=True)
class DrawSource:
    candidate_id: int
    round_number: int
    base_model: str
    base_revision: str | None
    adapter_digest: str | None
    strategy: str
    prompt: str
    temperature: float
    number: int
    seed: int
    log_probability: float | None
    is_cut: bool | None


def list_draws(
    session: Session, candidate_ids: Sequence[int], round_ids: Sequence[int]
) -> list[DrawSource]:
    """Returns every draw of these candidates in these rounds, in a fixed order."""
    has_adapter = Sample.adapter_id.is_not(None)
    found: list[DrawSource] = []
    for block in blocks(candidate_ids):
        rows = session.execute(
            select(
                Sample.candidate_id,
                Round.number,
                case((has_adapter, Adapter.base_model), else_=Round.settings["base_model"].astext),
                case((has_adapter, Adapter.base_revision), else_=Round.settings["revision"].astext),
                Adapter.digest,
                Sample.strategy,
                Sample.prompt,
                Sample.temperature,
                Sample.number,
                Sample.seed,
                Sample.log_probability,
                Sample.is_cut,
            )
            .join(Run, Run.id == Sample.run_id)
            .join(Round, Round.id == Run.round_id)
            .outerjoin(Adapter, Adapter.id == Sample.adapter_id)
            .where(Sample.candidate_id.in_(block), Run.round_id.in_(round_ids))
            .order_by(
                Sample.candidate_id,
                Round.number,
                Sample.strategy,
                Sample.prompt.collate("C"),
                Sample.temperature,
                Sample.number,
                Sample.run_id,
            )
        )
        found += [DrawSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class TraceSource:
    """A monologue that led to a candidate, of the draw with the highest log probability. n_ways: in
    how many ways, by what was asked, the draws of the candidate came to it."""

    candidate_id: int
    round_number: int
    trace: MonologueTrace
    n_ways: int


def list_traces(
    session: Session, candidate_ids: Sequence[int], round_ids: Sequence[int]
) -> list[TraceSource]:
    """Returns the best monologue of each of these candidates in these rounds; candidates that none
    led to are left out."""
    found: list[TraceSource] = []
    for block in blocks(candidate_ids):
        rows = session.execute(
            select(Sample.candidate_id, Round.number, Sample.trace)
            .join(Run, Run.id == Sample.run_id)
            .join(Round, Round.id == Run.round_id)
            .where(
                Sample.candidate_id.in_(block),
                Run.round_id.in_(round_ids),
                Sample.strategy == MONOLOGUE.name,
                Sample.trace["outcome"].astext == Outcome.EXPLAINED.value,
            )
            .order_by(
                Sample.candidate_id,
                Sample.log_probability.desc().nulls_last(),
                Round.number,
                Sample.id,
            )
        )
        for candidate_id, group in groupby(rows, key=lambda row: row[0]):
            drawn = [(number, MonologueTrace.model_validate(trace)) for _, number, trace in group]
            ways = {trace.way for _, trace in drawn}
            found.append(TraceSource(candidate_id, *drawn[0], len(ways)))
    return found
