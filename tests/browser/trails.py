"""A project whose rounds have a map, figures and a yield, as jobs would have stored them."""

from sqlalchemy import func
from sqlalchemy.orm import Session

from app.evidence import YieldFigures, YieldLine
from app.lifecycle import EvidenceKind, Job, RoundStatus, RunStatus, Split
from app.models import ItemTrail, RoundEvidence
from app.run_results import RoundFigures
from tests.support.factories import make_item, make_project, make_round, make_run

TRAILS = {
    Split.TRAIN: {"uus": 3, "uuu": 24, "uio": 2, "uui": 11, "uic": 17, "icz": 19},
    Split.VALIDATION: {"ccr": 4, "uuu": 9, "uri": 6, "ccc": 12, "---": 1},
}


def store_map(session: Session) -> int:
    """Store three rounds; returns the last one's number in the database."""
    project = make_project(session, name="Looked at over rounds")
    for split, counts in TRAILS.items():
        for trail, n in counts.items():
            for _ in range(n):
                item = make_item(session, project, split=split)
                session.add(
                    ItemTrail(item_id=item.id, project_id=project.id, split=split, trail=trail)
                )
    for number in range(1, 4):
        round_ = make_round(session, project, number=number, status=RoundStatus.CANCELLED)
        round_.figures = RoundFigures(
            n_items=76, n_open=70, n_covered=19 * number, newly_covered=19, improved=21,
            regressed=number,
        ).dump()  # fmt: skip
    run = make_run(session, project, Job.ASSESS, round_=round_)
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    lines = [
        YieldLine(
            strategy="direct", prompt=prompt, temperature=temperature, n_draws=300, n_tokens=4000,
            shown=80, admitted=40 * (1 - temperature) + len(prompt), human_ms=900_000,
        )
        for prompt in ("because", ", seeing that")
        for temperature in (0.01, 0.3, 0.6, 0.9)
    ]  # fmt: skip
    figures = YieldFigures(machine_seconds=120, lines=tuple(lines))
    session.add(
        RoundEvidence(
            round_id=round_.id, kind=EvidenceKind.YIELD, figures=figures.dump(), run_id=run.id,
            run_attempt=run.attempt,
        )
    )  # fmt: skip
    session.flush()
    return round_.id
