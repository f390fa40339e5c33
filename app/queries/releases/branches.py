"""Branches of the judgements of a release: the ways that draws went on from corrected turns."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Adapter, Branch, Sample
from app.queries.blocks import blocks
from app.strategies.monologue import MonologueTrace, Turn


@dataclass(frozen=True)
class BranchSource:
    """A branch with the draw that it came from, which led to a candidate. `turn`: as the draw has
    it, before it was corrected."""

    branch: Branch
    trace: MonologueTrace
    turn: Turn
    candidate_id: int
    opener: str
    temperature: float
    number: int
    adapter_digest: str | None


def list_branches(session: Session, judgement_ids: Sequence[int]) -> list[BranchSource]:
    """Returns the branches that were made for these judgements, in the order of the asking."""
    found: list[BranchSource] = []
    for block in blocks(judgement_ids):
        rows = session.execute(
            select(
                Branch,
                Sample.trace,
                Sample.candidate_id,
                Sample.prompt,
                Sample.temperature,
                Sample.number,
                Adapter.digest,
            )
            .join(Sample, Sample.id == Branch.sample_id)
            .outerjoin(Adapter, Adapter.id == Branch.adapter_id)
            .where(
                Branch.judgement_id.in_(block),
                Branch.trace.is_not(None),
            )
            .order_by(Branch.judgement_id, Branch.id)
        )
        for branch, parent, candidate_id, opener, temperature, number, digest in rows:
            if candidate_id is None:
                continue  # the table refuses such branches
            trace = MonologueTrace.model_validate(branch.trace)
            turn = MonologueTrace.model_validate(parent).turns[branch.turn - 1]
            found.append(
                BranchSource(
                    branch=branch,
                    trace=trace,
                    turn=turn,
                    candidate_id=candidate_id,
                    opener=opener,
                    temperature=temperature,
                    number=number,
                    adapter_digest=digest,
                )
            )
    return found
