"""Rounds of several strategies, with draws that nobody had to make."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundItemState, RunStatus, ShardStatus
from app.models import Item, Project, Round, RoundItem, Run, RunShard, Sample
from app.round_settings import LoopSettings
from app.services.rounds.sampling import Drawing, Drawn, store_samples
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
)
from tests.support.judging import BALL, CONE, MAT, Looks, trace_of

MIX = ("direct:1", "monologue:1")

DIRECT = {
    "seeing that the cone is small and the ball is large": 2,
    "seeing that one of them is much larger": 1,
}
"""Texts of the strategy direct, each with its draws."""
MONOLOGUE: Mapping[str, Sequence[Looks]] = {
    "seeing that the ball is the larger one of the two": [(CONE, BALL), (MAT,)],
    "seeing that one of them is much larger": [(BALL,)],
}
"""Texts of the strategy monologue, each with the looks that led there; one is that of both."""

TELLTALE = (
    "direct",
    "monologue",
    "self_questioning",
    "perception",
    "strategy",
    "trace",
    "look",
    "doubt",
    "occlusion",
    "sample",
    "draw",
    "adapter",
)
"""Words that nothing around a text has while it is judged blind."""

_numbers = count(1)


def mixed_settings(**changes: Any) -> LoopSettings:
    return LoopSettings.model_validate({"strategies": list(MIX), "auto_advance": False, **changes})


def make_mixed_round(
    session: Session, project: Project | None = None, *, number: int = 1, **changes: Any
) -> Round:
    """A round that is being judged, with nothing in it."""
    project = project or make_project(session)
    return make_round(session, project, number=number, settings=mixed_settings(**changes))


def make_drawn_item(
    session: Session,
    round_: Round,
    *,
    direct: Mapping[str, int] | None = None,
    monologue: Mapping[str, Sequence[Looks]] | None = None,
    item: Item | None = None,
    slots: int = 1,
) -> RoundItem:
    """An open item of a round with what both strategies drew for it."""
    project = session.get_one(Project, round_.project_id)
    item = item or make_item(
        session, project, question="is the cone the same size as the ball?", answer="no"
    )
    round_item = make_round_item(
        session, round_, item, texts=(), state=RoundItemState.WAITING, slots=slots
    )
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(
        run_id=run.id, number=1, item_ids=[item.id], status=ShardStatus.RUNNING, attempt=1
    )
    session.add(shard)
    session.flush()
    drawn = {
        "direct": [
            _draw(item, text, trace=None)
            for text, n in (DIRECT if direct is None else direct).items()
            for _ in range(n)
        ],
        "monologue": [
            _draw(item, text, trace=looks)
            for text, ways in (MONOLOGUE if monologue is None else monologue).items()
            for looks in ways
        ],
    }
    store_samples(
        session,
        run=run,
        shard_id=shard.id,
        attempt=1,
        item_ids=[item.id],
        drawings=[Drawing(name, draws, seconds=1.0) for name, draws in drawn.items()],
        settings=LoopSettings.model_validate(round_.settings),
        seconds=2.0,
    )
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()
    session.refresh(round_item)
    return round_item


def _draw(item: Item, text: str, *, trace: Looks | None) -> Drawn:
    number = next(_numbers)
    return Drawn(
        item_id=item.id,
        prompt=", seeing that",
        temperature=0.3,
        number=number,
        seed=number,
        text=text,
        log_probability=-1.0 - number / 1000,
        n_tokens=12,
        is_cut=False,
        trace=None if trace is None else trace_of(trace).model_dump(mode="json"),
    )


def swap_origins(session: Session, round_: Round) -> None:
    """Make every draw of a round one of the next of its strategies: texts and numbers stay, and
    all that tells where a draw comes from is what a draw of the other one has."""
    names = list(LoopSettings.model_validate(round_.settings).shares)
    next_of = dict(zip(names, [*names[1:], names[0]], strict=True))
    drawn = session.scalars(
        select(Sample)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_.id)
        .order_by(Sample.trace.is_(None), Sample.id)
    ).all()
    origins = {
        name: next((one.trace, one.adapter_id) for one in drawn if one.strategy == name)
        for name in names
    }
    for draw in drawn:
        draw.trace, draw.adapter_id = origins[next_of[draw.strategy]]
        draw.is_cut = not draw.is_cut
        # Not at once what it becomes: a draw is told from others by its strategy and its number.
        draw.strategy = f"then {next_of[draw.strategy]}"
    session.flush()
    for draw in drawn:
        draw.strategy = draw.strategy.removeprefix("then ")
    session.flush()
    session.expire_all()
