"""A small project with two judged rounds, for the tests of releases."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, JudgementStatus, Purpose, RoundStatus, RunStatus, UserKind
from app.models import (
    Adapter,
    Admission,
    Candidate,
    Item,
    Judgement,
    Project,
    Round,
    RoundCandidate,
    RoundItem,
    RoundModel,
    Run,
    RunShard,
    Sample,
    User,
    VerdictRow,
    WrittenRationale,
)
from app.round_settings import LoopSettings
from app.services.dataset.imports import import_dataset, read_dataset
from tests.support.dataset_files import row, write_images, write_jsonl
from tests.support.factories import make_project, make_round, make_round_item, make_user

TRICKY = "grün | \n\u2028 ünïcode"

SETTINGS = LoopSettings.model_validate(
    {"base_model": "org/tiny-vlm", "revision": "abc123", "judging": {"overlap": 2}}
)


def import_items(
    session: Session, folder: Path, n_items: int = 4, *, first_picture: bytes | None = None
) -> tuple[Project, list[Item]]:
    """A project with items q1, q2 … on images of their own; q4 and later are held out."""
    project = make_project(session, name="Street scenes", settings=SETTINGS)
    project.licence = "cc-by-4.0"
    names = [f"{number}.png" for number in range(1, n_items + 1)]
    images = write_images(folder, names)
    if first_picture is not None:
        (images / names[0]).write_bytes(first_picture)
    rows = [
        row(number, split="train" if number < 4 else "test", facts={"n": number * 0.1})
        for number in range(1, n_items + 1)
    ]
    path = write_jsonl(folder / "data.jsonl", rows)
    with read_dataset([path]) as parsed:
        import_dataset(session, project, parsed, update=False, actor=None)
    items = session.scalars(
        select(Item).where(Item.project_id == project.id).order_by(Item.external_id)
    )
    return project, list(items)


def add_round(session: Session, project: Project, number: int) -> tuple[Round, Run, RunShard]:
    """A completed round with the run and the shard that its samples belong to."""
    round_ = make_round(
        session, project, number=number, status=RoundStatus.CANCELLED, settings=SETTINGS
    )
    run = Run(
        project_id=project.id,
        round_id=round_.id,
        job=Job.GENERATE,
        status=RunStatus.SUCCEEDED,
        attempt=1,
        finished_at=datetime.now(UTC),
    )
    session.add(run)
    session.flush()
    shard = RunShard(run_id=run.id, number=1, item_ids=[], attempt=1)
    session.add(shard)
    session.flush()
    return round_, run, shard


def add_adapter(session: Session, round_: Round, run: Run, digest: str) -> Adapter:
    adapter = Adapter(
        project_id=round_.project_id,
        run_id=run.id,
        run_attempt=run.attempt,
        base_model="org/tiny-vlm",
        base_revision="abc123",
        digest=digest,
    )
    session.add(adapter)
    session.flush()
    session.add(
        RoundModel(
            round_id=round_.id, strategy="direct", role="explainer", new_adapter_id=adapter.id
        )
    )
    session.flush()
    return adapter


def show(session: Session, round_: Round, item: Item, texts: Sequence[str]) -> RoundItem:
    return make_round_item(session, round_, item, texts=texts, slots=2, purpose=Purpose.TRAINING)


def candidates_of(session: Session, round_item: RoundItem) -> dict[str, Candidate]:
    found = session.scalars(
        select(Candidate)
        .join(RoundCandidate, RoundCandidate.candidate_id == Candidate.id)
        .where(
            RoundCandidate.round_id == round_item.round_id,
            RoundCandidate.item_id == round_item.item_id,
        )
        .order_by(RoundCandidate.rank)
    )
    return {candidate.text: candidate for candidate in found}


def draw(
    session: Session,
    run: Run,
    shard: RunShard,
    candidate: Candidate,
    *,
    temperature: float = 0.3,
    number: int = 1,
    adapter: Adapter | None = None,
) -> None:
    session.add(
        Sample(
            run_id=run.id,
            shard_id=shard.id,
            shard_attempt=shard.attempt,
            item_id=candidate.item_id,
            candidate_id=candidate.id,
            adapter_id=adapter.id if adapter else None,
            strategy="direct",
            prompt=", seeing that",
            temperature=temperature,
            number=number,
            seed=2**62 + candidate.id,
            log_probability=-0.1 / 3,
            n_tokens=5,
        )
    )
    session.flush()


def judge(
    session: Session,
    round_item: RoundItem,
    user: User,
    fitting: Iterable[str] = (),
    *,
    slot: int | None = 1,
    answer_is_wrong: bool = False,
    order: Sequence[str] | None = None,
    faults: Sequence[str] = (),
) -> Judgement:
    """A submitted judgement with its verdicts; whoever picks nothing says that none fits."""
    candidates = candidates_of(session, round_item)
    shown = list(order or candidates)
    picked = [candidates[text].id for text in shown if text in set(fitting)]
    none_fits = not picked and not answer_is_wrong
    judgement = Judgement(
        round_item_id=round_item.id,
        round_id=round_item.round_id,
        user_id=user.id,
        user_kind=user.kind,
        status=JudgementStatus.SUBMITTED,
        slot=slot if user.kind is UserKind.PERSON else None,
        max_slots=round_item.max_slots,
        shown_order=[candidates[text].id for text in shown],
        picked=picked,
        none_fits=none_fits,
        answer_is_wrong=answer_is_wrong,
        active_ms=30_000,
        submitted_at=datetime.now(UTC),
    )
    session.add(judgement)
    session.flush()
    if not answer_is_wrong:
        for position, text in enumerate(shown, start=1):
            fits = candidates[text].id in picked
            session.add(
                VerdictRow(
                    judgement_id=judgement.id,
                    candidate_id=candidates[text].id,
                    round_id=round_item.round_id,
                    none_fits=none_fits,
                    answer_is_wrong=False,
                    fits=fits,
                    position=position,
                    faults=[] if fits else list(faults),
                )
            )
    session.flush()
    return judgement


def correct(
    session: Session, round_item: RoundItem, judgement: Judgement, candidate: str, better: str
) -> None:
    """What the judgement's author would have instead of a shown candidate."""
    session.add(
        WrittenRationale(
            judgement_id=judgement.id,
            candidate_id=candidates_of(session, round_item)[candidate].id,
            item_id=round_item.item_id,
            text=better,
        )
    )
    session.flush()


def correct_of(session: Session, item: Item, candidate: str, better: str) -> None:
    """The first who judged the item makes this of a candidate."""
    round_item = session.scalars(select(RoundItem).where(RoundItem.item_id == item.id)).one()
    judgement = session.scalars(
        select(Judgement).where(Judgement.round_item_id == round_item.id).order_by(Judgement.id)
    ).first()
    assert judgement is not None
    correct(session, round_item, judgement, candidate, better)


def admit(
    session: Session,
    round_item: RoundItem,
    text: str,
    *,
    n_fits: int,
    n_votes: int,
    judge_kind: UserKind = UserKind.PERSON,
) -> None:
    session.add(
        Admission(
            round_id=round_item.round_id,
            candidate_id=candidates_of(session, round_item)[text].id,
            item_id=round_item.item_id,
            policy="majority",
            judge_kind=judge_kind,
            n_fits=n_fits,
            n_votes=n_votes,
        )
    )
    session.flush()


def make_released_project(
    session: Session, folder: Path, *, first_picture: bytes | None = None
) -> tuple[Project, list[Item]]:
    """Round 1: two people on q1 and q2. Round 2, from an adapter: a critic on q3.

    q1: "it is red" fits by both, "a ball" by one. q2: one says none fits, one that the answer is
    wrong. q3: the critic takes "it looks red".
    """
    project, items = import_items(session, folder, first_picture=first_picture)
    ann, ben = make_user(session), make_user(session)
    first, run, shard = add_round(session, project, 1)
    q1 = show(session, first, items[0], ["it is red", "a ball", TRICKY])
    q2 = show(session, first, items[1], ["nothing", "something"])
    found = candidates_of(session, q1)
    draw(session, run, shard, found["it is red"], temperature=0.9, number=2)
    draw(session, run, shard, found["it is red"], temperature=0.01)
    draw(session, run, shard, found["a ball"])
    judge(session, q1, ann, ["it is red", "a ball"], slot=1)
    backwards = [TRICKY, "a ball", "it is red"]
    judge(session, q1, ben, ["it is red"], slot=2, order=backwards, faults=["unclear"])
    judge(session, q2, ann, slot=1)
    judge(session, q2, ben, slot=2, answer_is_wrong=True)
    admit(session, q1, "it is red", n_fits=2, n_votes=2)

    adapter = add_adapter(session, first, run, "d" * 64)
    second, run, shard = add_round(session, project, 2)
    q3 = show(session, second, items[2], ["it looks red", "no idea"])
    draw(session, run, shard, candidates_of(session, q3)["it looks red"], adapter=adapter)
    critic = make_user(session, name=f"critic rouge:0.5 {project.id}", kind=UserKind.CRITIC)
    judge(session, q3, critic, ["it looks red"])
    admit(session, q3, "it looks red", n_fits=1, n_votes=1, judge_kind=UserKind.CRITIC)
    return project, items
