"""How items fared in each round is written down from what rounds admitted and measured."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.item_trails import rank_of
from app.lifecycle import Job, Purpose, RoundItemState, RoundStatus, RunStatus, Split, UserKind
from app.models import (
    Admission,
    Item,
    ItemTrail,
    Prediction,
    Project,
    Round,
    RoundCandidate,
    RunShard,
)
from app.queries.quality.trails import count_trails, list_by_trail, renew_trails
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
)


def make_rounds(session: Session, project: Project, n: int) -> list[Round]:
    return [
        make_round(
            session,
            project,
            number=number,
            status=RoundStatus.JUDGING if number == n else RoundStatus.CANCELLED,
        )
        for number in range(1, n + 1)
    ]


def admit(session: Session, round_: Round, item: Item) -> None:
    candidate_id = session.scalars(
        select(RoundCandidate.candidate_id).where(
            RoundCandidate.round_id == round_.id, RoundCandidate.item_id == item.id
        )
    ).first()
    session.add(
        Admission(
            round_id=round_.id, item_id=item.id, candidate_id=candidate_id, policy="majority",
            judge_kind=UserKind.PERSON, n_fits=1, n_votes=1,
        )
    )  # fmt: skip
    session.flush()


def trail_of(session: Session, item: Item) -> str | None:
    session.expire_all()
    found = session.get(ItemTrail, item.id)
    return found.trail if found else None


def test_a_train_item_has_a_letter_for_each_round(session: Session) -> None:
    project = make_project(session)
    rounds = make_rounds(session, project, 4)
    covered, rests, aside, never, late = (make_item(session, project) for _ in range(5))
    done, resting = RoundItemState.DONE, RoundItemState.RESTING
    for item, states in (
        (covered, (done, done, done, RoundItemState.OPEN)),
        (rests, (done, resting, resting, resting)),
        (aside, (done, RoundItemState.SET_ASIDE)),
        (late, (None, None, RoundItemState.WAITING, done)),
    ):
        for round_, state in zip(rounds, states, strict=False):
            if state is not None:
                make_round_item(
                    session, round_, item, state=state, texts=[f"it is red in {round_.number}"]
                )
    admit(session, rounds[1], covered)
    admit(session, rounds[0], rests)
    renew_trails(session, project.id)
    trails = {item.id: trail_of(session, item) for item in (covered, rests, aside, never, late)}
    assert list(trails.values()) == ["uicc", "izzz", "us--", "----", "--ou"]


def test_items_that_are_there_for_another_purpose_are_not_part_of_the_round(
    session: Session,
) -> None:
    project = make_project(session)
    (round_,) = make_rounds(session, project, 1)
    item = make_item(session, project)
    make_round_item(session, round_, item, purpose=Purpose.CHECK, state=RoundItemState.STANDING)
    renew_trails(session, project.id)
    assert trail_of(session, item) == "-"


def measure(
    session: Session, project: Project, items: Sequence[Item], fits: str, round_: Round | None
) -> None:
    """fits: a mark for each item; `+` fits, `-` does not, `?` has no verdict, ` ` was not asked."""
    job = Job.EVALUATE if round_ else Job.BASELINE
    run = make_run(session, project, job, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[], attempt=1)
    session.add(shard)
    session.flush()
    for item, mark in zip(items, fits, strict=True):
        if mark != " ":
            session.add(
                Prediction(
                    run_id=run.id, shard_id=shard.id, shard_attempt=1, item_id=item.id,
                    split=item.split, answer="red", rationale="it is", answer_is_right=True,
                    fits=None if mark == "?" else mark == "+",
                )
            )  # fmt: skip
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()


def test_a_measured_item_is_compared_with_the_measurement_before(session: Session) -> None:
    project = make_project(session)
    rounds = make_rounds(session, project, 3)
    items = [make_item(session, project, split=Split.VALIDATION) for _ in range(4)]
    unmeasured = make_item(session, project, split=Split.VALIDATION)
    measure(session, project, items, "--+ ", None)
    measure(session, project, items, "+-- ", rounds[0])
    measure(session, project, items, "+- +", rounds[1])
    measure(session, project, items, "--++", rounds[2])
    renew_trails(session, project.id)
    assert [trail_of(session, item) for item in items] == ["icr", "uuu", "r-i", "-cc"]
    assert trail_of(session, unmeasured) is None


def test_an_item_without_a_verdict_is_not_measured(session: Session) -> None:
    project = make_project(session)
    rounds = make_rounds(session, project, 3)
    items = [make_item(session, project, split=Split.VALIDATION) for _ in range(3)]
    measure(session, project, items, "-??", None)
    for round_, fits in zip(rounds, ("?+?", "+-?", "++?"), strict=True):
        measure(session, project, items, fits, round_)
    renew_trails(session, project.id)
    # What has a verdict again is compared with the last one before.
    assert [trail_of(session, item) for item in items] == ["-ic", "cri", None]


def test_written_again_it_follows_what_has_changed(session: Session) -> None:
    project, other = make_project(session), make_project(session)
    (round_,) = make_rounds(session, project, 1)
    item, strange = make_item(session, project), make_item(session, other)
    place = make_round_item(session, round_, item)
    renew_trails(session, project.id)
    assert trail_of(session, item) == "o"
    place.state = RoundItemState.DONE
    admit(session, round_, item)
    for _ in range(2):
        renew_trails(session, project.id)
        assert trail_of(session, item) == "i"
    assert trail_of(session, strange) is None


def test_items_are_listed_in_the_order_of_the_trails(session: Session) -> None:
    project = make_project(session)
    for trail in ("ic", "uu", "ic", "ui"):
        item = make_item(session, project)
        session.add(
            ItemTrail(item_id=item.id, project_id=project.id, split=Split.TRAIN, trail=trail)
        )
    session.flush()
    counts = count_trails(session, project.id)[Split.TRAIN]
    assert counts == {"ic": 2, "uu": 1, "ui": 1}
    trails = sorted(counts, key=rank_of)
    assert trails == ["uu", "ui", "ic"]

    def listed(offset: int, limit: int) -> list[str]:
        found = list_by_trail(session, project.id, Split.TRAIN, trails, offset=offset, limit=limit)
        return [trail for _, trail in found]

    assert listed(0, 10) == ["uu", "ui", "ic", "ic"]
    assert listed(1, 2) == ["ui", "ic"]
    assert list_by_trail(session, project.id, Split.TRAIN, [], offset=0, limit=5) == []
