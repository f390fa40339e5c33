"""Rounds of several strategies, with draws that nobody had to make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import (
    Decision,
    Job,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
)
from app.models import (
    Candidate,
    Item,
    Json,
    Project,
    Round,
    RoundItem,
    RoundModel,
    Run,
    RunShard,
    Sample,
)
from app.round_settings import LoopSettings
from app.run_results import MixedStrategy, RoundFigures
from app.services.admission.apply import admit
from app.services.rounds.rounds import settings_of
from app.services.rounds.sampling import Drawing, Drawn, store_samples
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import (
    BALL,
    CONE,
    MAT,
    Looks,
    gather_now,
    open_item,
    submit,
    trace_of,
)

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


def make_found_round(session: Session) -> Round:
    """A round of both strategies that is judged, with what each of them found: of three items the
    texts of `direct` fit."""
    round_ = make_mixed_round(session)
    for name, role in (("direct", "model"), ("monologue", "reasoner"), ("monologue", "observer")):
        session.add(RoundModel(round_id=round_.id, strategy=name, role=role))
    judge_direct(session, round_)
    return round_


def judge_direct(
    session: Session, round_: Round, *, monologue: Mapping[str, Sequence[Looks]] | None = None
) -> None:
    """Draw for three items, judge them so that the texts of `direct` fit, and close judging.
    monologue: what that drew."""
    user = make_user(session)
    for _ in range(3):
        make_drawn_item(session, round_, monologue=monologue)
    for _ in range(3):
        judgement = open_item(session, round_, user)
        texts = session.scalars(select(Candidate).where(Candidate.id.in_(judgement.shown_order)))
        picked = [candidate.id for candidate in texts if candidate.text in DIRECT]
        submit(session, judgement, picked=picked)
        judgement.active_ms = 4000
    session.flush()
    admit(session, round_, settings_of(round_).admission)
    round_.status = RoundStatus.TRAINING
    session.flush()
    gather_now(session, round_)


def put_under_floor(session: Session, round_: Round) -> None:
    """Complete a round of both strategies, with answers of `monologue` under the floor."""
    accuracies = {"direct": 0.9, "monologue": 0.4}
    round_.figures = RoundFigures(
        n_items=3,
        n_open=3,
        n_covered=3,
        newly_covered=3,
        improved=3,
        regressed=0,
        strategies=tuple(
            MixedStrategy(strategy=name, validation_accuracy=accuracy, floor=0.8)
            for name, accuracy in accuracies.items()
        ),
    ).dump()
    round_.status, round_.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    session.flush()


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


@dataclass(frozen=True)
class Origin:
    """All that tells where a draw comes from."""

    strategy: str
    trace: Json | None
    adapter_id: int | None
    is_cut: bool | None


def swap_origins(session: Session, round_: Round) -> dict[int, Origin]:
    """Make every draw of a round one of the next of its strategies: texts and numbers stay, and
    its origin is like that of a draw of the other one. Returns the origins as they were, by draw.
    """
    names = list(LoopSettings.model_validate(round_.settings).shares)
    next_of = dict(zip(names, [*names[1:], names[0]], strict=True))
    drawn = session.scalars(
        select(Sample)
        .join(Run, Run.id == Sample.run_id)
        .where(Run.round_id == round_.id)
        .order_by(Sample.trace.is_(None), Sample.id)
    ).all()
    origins = {
        draw.id: Origin(draw.strategy, draw.trace, draw.adapter_id, draw.is_cut) for draw in drawn
    }
    # Of draws with a trace, where a strategy has some.
    like = {name: next(one for one in origins.values() if one.strategy == name) for name in names}
    set_origins(
        session,
        {
            draw_id: replace(like[next_of[origin.strategy]], is_cut=not origin.is_cut)
            for draw_id, origin in origins.items()
        },
    )
    return origins


def set_origins(session: Session, origins: Mapping[int, Origin]) -> None:
    """Say of draws where they come from."""
    drawn = session.scalars(select(Sample).where(Sample.id.in_(origins))).all()
    for draw in drawn:
        # Not at once what it becomes: a draw is told from others by its strategy and its number.
        draw.strategy = f"not {draw.strategy}"
    session.flush()
    for draw in drawn:
        for field in fields(Origin):
            setattr(draw, field.name, getattr(origins[draw.id], field.name))
    session.flush()
    session.expire_all()
