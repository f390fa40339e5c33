"""Two rounds of a project that judged the same items, each with an evaluation, for tests of what
changed between them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func
from sqlalchemy.orm import Session

from app.lifecycle import Decision, Job, RoundStatus, RunStatus, Split
from app.models import Candidate, Item, Prediction, Project, Round, RunShard, Score
from app.round_settings import LoopSettings, SamplingSettings
from app.run_results import RoundFigures
from app.services.admission.apply import admit
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import open_item, submit

Said = tuple[str, bool, bool | None]
"""What a model said of a held-out item: its rationale, whether its answer is right, and whether the
rationale fits; None where the critic could not judge the item."""

HELD_OUT: Mapping[str, tuple[Said, Said]] = {
    "better": (("it is round", True, False), ("it is red all over", True, True)),
    "much-better": (("no idea", False, False), ("the ball is red", True, True)),
    "worse": (("it is a red ball", True, True), ("it is blue", False, False)),
    "answered": (("so it seems", False, False), ("it seems so", True, False)),
    "same": (("it stays red", True, True), ("it stays red", True, True)),
}
"""By the id of an item: before and after."""


UNJUDGED: Mapping[str, tuple[Said, Said]] = {
    "bare": (("no idea", False, None), ("the ball is red", True, None)),
    "late": (("it is blue", True, None), ("so it is", False, False)),
}
"""Further ones, which the critic could not judge in both rounds."""


def make_compared_project(
    session: Session, name: str = "Compared", held_out: Mapping[str, tuple[Said, Said]] = HELD_OUT
) -> Project:
    """Rounds 1 and 2 are over. Both judged the items `gained`, `lost` and `kept`: the first has
    nothing admitted before, the second nothing after."""
    project = make_project(session, name=name)
    judged = {id_: make_item(session, project, external_id=id_) for id_ in ("gained", "kept")}
    judged["lost"] = make_item(session, project, external_id="lost", question="where is it?")
    measured = {
        id_: make_item(
            session, project, external_id=id_, split=Split.VALIDATION, question=f"is it {id_}?"
        )
        for id_ in held_out
    }
    for number, fitting in ((1, {"lost", "kept"}), (2, {"gained", "kept"})):
        sampling = SamplingSettings(temperatures=(0.4 * number,))
        settings = LoopSettings(auto_advance=False, sampling=sampling)
        round_ = make_round(session, project, number=number, settings=settings)
        _judge(session, round_, judged, fitting)
        said = {item: held_out[id_][number - 1] for id_, item in measured.items()}
        _evaluate(session, round_, said)
        _end(session, round_, n_admitted=len(fitting))
    return project


def _judge(session: Session, round_: Round, items: Mapping[str, Item], fitting: set[str]) -> None:
    for id_, item in items.items():
        make_round_item(session, round_, item, texts=[f"{id_} in round {round_.number}"])
    person = make_user(session)
    for _ in items:
        judgement = open_item(session, round_, person)
        fits = any(
            candidate.item_id == items[id_].id
            for id_ in fitting
            for candidate in _shown(session, judgement.shown_order)
        )
        picked = list(judgement.shown_order) if fits else []
        submit(session, judgement, picked=picked, none_fits=not picked, active_ms=30_000)
    admit(session, round_, LoopSettings().admission)


def _shown(session: Session, ids: Sequence[int]) -> list[Candidate]:
    return [session.get_one(Candidate, id_) for id_ in ids]


def _evaluate(session: Session, round_: Round, said: Mapping[Item, Said]) -> None:
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.EVALUATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id for item in said], attempt=1)
    session.add(shard)
    session.flush()
    for item, (text, is_right, fits) in said.items():
        session.add(
            Prediction(
                run_id=run.id,
                shard_id=shard.id,
                shard_attempt=1,
                item_id=item.id,
                split=item.split,
                answer="red" if is_right else "blue",
                rationale=text,
                answer_is_right=is_right,
                fits=fits,
                soft_accuracy=0.9 if is_right else 0.3,
            )
        )
    verdicts = [fits for _, _, fits in said.values() if fits is not None]
    for name, values in (
        ("answer_accuracy", [is_right for _, is_right, _ in said.values()]),
        ("fit", verdicts),
    ):
        session.add(
            Score(run_id=run.id, run_attempt=run.attempt, split=Split.VALIDATION, name=name,
                  value=sum(values) / len(values), n=len(values), low=0.0, high=1.0)
        )  # fmt: skip
    run.status = RunStatus.SUCCEEDED
    run.started_at = run.finished_at = func.now()


def _end(session: Session, round_: Round, *, n_admitted: int) -> None:
    round_.figures = RoundFigures(
        n_items=3, n_open=3, n_covered=n_admitted, n_admitted=n_admitted
    ).dump()
    round_.status, round_.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    round_.decision_reason = "It goes on."
    session.flush()
