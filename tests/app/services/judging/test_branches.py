"""Branches: asked for once, made once and whole, only for somebody who waits for them."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, LostRun
from app.lifecycle import Job, RoundStatus, RunStatus, Split
from app.models import Branch, Event, Judgement, Project, Round, RoundItem, Run, Sample, User
from app.opinions import Opinion
from app.queries.rounds.progress import get_progress
from app.queries.rounds.rounds import find_failed_run
from app.queries.runs.runs import claim_run
from app.run_results import BranchTally
from app.services.accounts.erasure import erase_person
from app.services.judging import branches, judgements, leases
from app.services.judging.branches import Branched
from app.services.judging.ending import end_judging
from app.services.judging.opinions import opinion_of
from app.services.judging.traces import mark_traces, open_traces
from app.services.judging.ways import Way, find_ways
from app.services.refusals import (
    AlreadySubmitted,
    LeaseLost,
    NothingCorrected,
    NotSubmitted,
    RoundClosed,
)
from app.services.rounds.figures import collect_figures
from app.services.rounds.rounds import cancel_round
from app.services.runs import runs
from app.strategies.monologue import Outcome
from tests.support.factories import make_item, make_user
from tests.support.judging import (
    BALL,
    CONE,
    branched,
    locked,
    make_episodes,
    make_monologue_round,
    open_item,
    submit,
    trace_of,
)
from tests.support.rounds.mixed import make_drawn_item, make_mixed_round

MADE = Branched(
    seed=7,
    trace=trace_of([("what size is the cone?", "large"), BALL], "yes").model_dump(mode="json"),
    text="both are large",
    log_probability=-2.5,
    n_tokens=9,
    is_cut=False,
)


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_monologue_round(session)
    make_episodes(session, round_, {"the cone is small": [(CONE, BALL)]})
    return round_


@pytest.fixture
def judgement(session: Session, round_: Round) -> Judgement:
    return open_item(session, round_, make_user(session, name="Noor"))


@pytest.fixture
def way(session: Session, round_: Round, judgement: Judgement) -> Way:
    ((way,),) = find_ways(session, round_, judgement).values()
    return way


def correct(session: Session, judgement: Judgement, way: Way, says: str = "large") -> None:
    opinion = Opinion(corrections={way.sample_id: {1: says}})
    judgements.save_draft(session, locked(session, judgement), opinion, version=judgement.version)


def ask(session: Session, judgement: Judgement, way: Way, turn: int = 1) -> Branch:
    found = branches.ask_for_branch(
        session, locked(session, judgement), draw=way.sample_id, turn=turn
    )
    session.flush()
    return found.branch


def claim(session: Session, run_id: int) -> int:
    """The attempt of the worker that takes a run, also one that another has."""
    session.execute(
        update(Run).where(Run.id == run_id).values(heartbeat_at=func.now() - timedelta(hours=1))
    )
    attempt = claim_run(session, run_id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    return attempt


def store(session: Session, run_id: int, attempt: int) -> None:
    branches.store_branch(session, run_id, attempt=attempt, made=MADE, adapter_id=None, seconds=0.5)
    session.flush()


def status_of(session: Session, run_id: int) -> RunStatus:
    return session.scalars(select(Run.status).where(Run.id == run_id)).one()


def test_the_same_correction_asked_for_twice_is_one_branch_and_one_run(
    session: Session, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    assert ask(session, judgement, way).id == branch.id
    assert session.scalars(select(Run.id).where(Run.job == Job.BRANCH)).all() == [branch.run_id]
    attempt = claim(session, branch.run_id)
    assert ask(session, judgement, way).run_id == branch.run_id, "while it is being made"
    store(session, branch.run_id, attempt)
    assert ask(session, judgement, way).run_id == branch.run_id, "and once it is there"
    assert (branch.text, branch.n_tokens, branch.run_attempt) == ("both are large", 9, 1)
    assert status_of(session, branch.run_id) is RunStatus.SUCCEEDED
    correct(session, judgement, way, "huge")
    assert ask(session, judgement, way).id != branch.id, "other words are another branch"


def test_a_second_worker_makes_what_the_first_one_could_not(
    session: Session, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    dead = claim(session, branch.run_id)
    alive = claim(session, branch.run_id)
    with pytest.raises(LostRun):
        store(session, branch.run_id, dead)
    store(session, branch.run_id, alive)
    with pytest.raises(LostRun):
        store(session, branch.run_id, alive)
    assert (branch.text, branch.run_attempt) == ("both are large", alive)


def test_what_cannot_be_gone_on_from_is_refused(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    with pytest.raises(NothingCorrected, match="Write what you see instead"):
        ask(session, judgement, way)
    correct(session, judgement, way, "small")  # what was observed
    with pytest.raises(NothingCorrected):
        ask(session, judgement, way)
    correct(session, judgement, way)
    with pytest.raises(NothingCorrected):
        ask(session, judgement, way, turn=2)
    submit(session, judgement, none_fits=True, corrections=opinion_of(judgement).corrections)
    with pytest.raises(AlreadySubmitted, match="Take it back"):
        ask(session, judgement, way)
    judgements.take_back(session, locked(session, judgement))
    leases.give_back_item(session, locked(session, judgement))
    with pytest.raises(LeaseLost, match="Take it up again"):
        ask(session, judgement, way)
    leases.resume(session, locked(session, judgement))
    ask(session, judgement, way)
    round_.status = RoundStatus.CLOSING
    session.flush()
    with pytest.raises(RoundClosed):
        ask(session, judgement, way)


def test_a_round_without_looks_has_nothing_to_go_on_from(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    round_.settings = {**round_.settings, "strategy": "direct"}
    session.flush()
    with pytest.raises(InvalidInput, match="came without looks"):
        ask(session, judgement, way)


def test_of_a_blind_round_it_is_asked_for_once_it_is_opened_and_made_by_who_drew(
    session: Session,
) -> None:
    round_ = make_mixed_round(session)
    make_drawn_item(session, round_)
    judgement = open_item(session, round_, make_user(session, name="Lin"))
    drawn = select(Sample).where(Sample.strategy == "monologue").order_by(Sample.id).limit(1)
    draw = session.scalars(drawn).one().id

    def ask_for() -> Branch:
        session.flush()
        locked_now = locked(session, judgement)
        return branches.ask_for_branch(session, locked_now, draw=draw, turn=1).branch

    with pytest.raises(NotSubmitted, match="Submit this item first"):
        ask_for()
    submit(session, judgement, none_fits=True)
    with pytest.raises(NotSubmitted, match="Submit this item first"):
        ask_for()
    open_traces(session, locked(session, judgement))
    with pytest.raises(NothingCorrected):
        ask_for()
    said = Opinion(corrections={draw: {1: "large"}})
    mark_traces(session, locked(session, judgement), said, version=judgement.version)
    branch = ask_for()
    assert session.get_one(Run, branch.run_id).strategy == "monologue"
    assert ask_for().id == branch.id
    store(session, branch.run_id, claim(session, branch.run_id))
    assert (branch.text, judgement.none_fits, judgement.edits) == ("both are large", True, {})


@pytest.mark.parametrize("what", ["submitted", "corrected anew", "given back", "closed"])
def test_nothing_is_made_for_somebody_who_waits_no_more(
    session: Session, round_: Round, judgement: Judgement, way: Way, what: str
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    attempt = claim(session, branch.run_id)
    match what:
        case "submitted":
            said = opinion_of(judgement).corrections
            submit(session, judgement, none_fits=True, corrections=said)
        case "corrected anew":
            correct(session, judgement, way, "huge")
        case "given back":
            leases.give_back_item(session, locked(session, judgement))
        case "closed":
            session.flush()
            session.execute(update(RoundItem).values(state="done"))
            session.execute(update(Round).values(status="judging"))
            end_judging(session, round_, actor=None)
            with pytest.raises(LostRun):
                store(session, branch.run_id, attempt)
    if what != "closed":
        store(session, branch.run_id, attempt)
    assert status_of(session, branch.run_id) is RunStatus.CANCELLED
    session.refresh(branch)
    assert (branch.trace, branch.run_attempt) == (None, None)
    session.refresh(judgement)
    kept = "huge" if what == "corrected anew" else "large"
    assert judgement.corrections == {str(way.sample_id): {"1": kept}}


def test_what_was_waited_for_in_vain_is_asked_for_again(
    session: Session, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    first = branch.run_id
    attempt = claim(session, first)
    runs.fail_run(session, first, attempt=attempt, error="the image is gone")
    session.flush()
    (told,) = branches.queries.list_branches(session, judgement.id)
    assert (told.status, told.error) == (RunStatus.FAILED, "the image is gone")
    again = ask(session, judgement, way)
    assert (again.id, again.run_id == first) == (branch.id, False)
    store(session, again.run_id, claim(session, again.run_id))
    assert again.text == "both are large"


def test_a_branch_that_failed_is_no_failure_of_its_round(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    runs.fail_run(session, branch.run_id, attempt=claim(session, branch.run_id), error="no")
    session.flush()
    assert find_failed_run(session, round_.id) is None
    assert {entry.run.job for entry in get_progress(session, round_).runs} == {Job.GENERATE}
    assert not session.scalars(select(Event.id).where(Event.tag.startswith("run:"))).all()


def test_the_figures_of_a_round_count_branches_apart(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    assert get_progress(session, round_).branches is None
    for says, outcome in (("large", Outcome.EXPLAINED), ("huge", Outcome.WRONG_ANSWER)):
        correct(session, judgement, way, says)
        run_id = ask(session, judgement, way).run_id
        made = branched([CONE], text="so", outcome=outcome)
        branches.store_branch(
            session,
            run_id,
            attempt=claim(session, run_id),
            made=made,
            adapter_id=None,
            seconds=0.5,
        )
        session.flush()
    correct(session, judgement, way, "tiny")
    ask(session, judgement, way)
    tally = BranchTally(asked=3, made=2, explained=1, tokens=18, seconds=1.0)
    assert get_progress(session, round_).branches == tally
    assert collect_figures(session, round_).branches == tally
    assert get_progress(session, round_).drawn.draws == 1


def test_a_cancelled_round_takes_what_is_waited_for_with_it(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    cancel_round(session, round_, actor=None)
    session.flush()
    assert status_of(session, branch.run_id) is RunStatus.CANCELLED


def test_branches_go_with_the_person_who_asked(
    session: Session, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    made = ask(session, judgement, way)
    store(session, made.run_id, claim(session, made.run_id))
    correct(session, judgement, way, "huge")
    waiting = ask(session, judgement, way)
    run_id, attempt = waiting.run_id, claim(session, waiting.run_id)
    author = session.get_one(User, judgement.user_id)
    erase_person(session, author, typed_name="Noor", actor=make_user(session, is_admin=True))
    assert session.scalars(select(Branch)).all() == []
    store(session, run_id, attempt)
    assert status_of(session, run_id) is RunStatus.CANCELLED
    assert session.scalars(select(Branch)).all() == []


# --- What the table itself refuses -------------------------------------------------------------


def test_the_table_refuses_branches_of_held_out_items(
    session: Session, round_: Round, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    for split in ("validation", "test"):
        with pytest.raises(IntegrityError, match="train_split_only"), session.begin_nested():
            session.execute(INSERT, values(branch, split=split))
    project = session.get_one(Project, round_.project_id)
    held_out = make_item(session, project, split=Split.VALIDATION).id
    with pytest.raises(IntegrityError, match=r"is of a turn|item_id_split"), session.begin_nested():
        session.execute(INSERT, values(branch, item_id=held_out))


def test_the_table_refuses_turns_that_are_not_there_and_halves_and_changes(
    session: Session, judgement: Judgement, way: Way
) -> None:
    correct(session, judgement, way)
    branch = ask(session, judgement, way)
    with pytest.raises(IntegrityError, match="is of a turn"), session.begin_nested():
        session.execute(INSERT, values(branch, turn=3))
    with pytest.raises(IntegrityError, match="whole_or_not_made"), session.begin_nested():
        session.execute(text("UPDATE branch SET text = 'half', seed = 1"))
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text("UPDATE branch SET correction = 'other words'"))
    store(session, branch.run_id, claim(session, branch.run_id))
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text("UPDATE branch SET text = 'another'"))


INSERT = text(
    "INSERT INTO branch"
    " (judgement_id, round_id, sample_id, turn, correction, item_id, split, run_id)"
    " VALUES (:judgement_id, :round_id, :sample_id, :turn, 'other', :item_id, :split, :run_id)"
)


def values(branch: Branch, **changes: object) -> dict[str, object]:
    names = ("judgement_id", "round_id", "sample_id", "turn", "item_id", "split")
    free = {"run_id": _free_run(branch)}
    return {name: getattr(branch, name) for name in names} | free | changes


def _free_run(branch: Branch) -> int:
    session = Session.object_session(branch)
    assert session is not None
    round_ = session.get_one(Round, branch.round_id)
    return runs.request_run(
        session, project_id=round_.project_id, round_id=round_.id, job=Job.BRANCH
    ).id
