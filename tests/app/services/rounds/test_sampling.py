"""What is stored of a shard, and which candidates people see."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import LostRun
from app.lifecycle import FailureKind, Job, RoundItemState, RoundStatus, RunStatus, ShardStatus
from app.models import (
    Candidate,
    Item,
    Project,
    RoundCandidate,
    RoundItem,
    Run,
    RunShard,
    Sample,
)
from app.queries.rounds.figures import count_episodes
from app.round_settings import JudgingSettings, LoopSettings, Order
from app.scenes.scene import Obj, Scene
from app.services.rounds import sampling
from app.services.rounds.sampling import Drawing, Drawn, choose_shown, store_samples
from app.services.runs.failures import Failure
from app.strategies.monologue import MonologueTrace, Outcome, Turn
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_run


def test_a_few_candidates_are_all_shown() -> None:
    assert choose_shown([3, 1, 2], 8, seed=(0, 1, 1)) == {3: "draws", 1: "draws", 2: "draws"}


def test_half_is_shown_by_draws_and_half_at_random() -> None:
    shown = choose_shown(list(range(100)), 8, seed=(0, 1, 1))
    assert [c for c, why in shown.items() if why == "draws"] == [0, 1, 2, 3]
    at_random = [c for c, why in shown.items() if why == "random"]
    assert len(at_random) == 4
    assert not set(at_random) & {0, 1, 2, 3}
    assert shown == choose_shown(list(range(100)), 8, seed=(0, 1, 1))
    assert shown != choose_shown(list(range(100)), 8, seed=(0, 1, 2))


@pytest.fixture
def item(session: Session) -> Item:
    return make_item(session, make_project(session))


@pytest.fixture
def shard(session: Session, item: Item) -> RunShard:
    """A claimed shard of a generate run with one waiting item."""
    project = session.get_one(Project, item.project_id)
    round_ = make_round(session, project, status=RoundStatus.GENERATING)
    make_round_item(session, round_, item, texts=(), state=RoundItemState.WAITING)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(
        run_id=run.id, number=1, item_ids=[item.id], status=ShardStatus.RUNNING, attempt=1
    )
    session.add(shard)
    session.flush()
    return shard


def store(
    session: Session,
    shard: RunShard,
    texts: list[str],
    *,
    attempt: int = 1,
    settings: LoopSettings | None = None,
    cut: Sequence[bool | None] = (),
    failures: Sequence[Failure] = (),
) -> None:
    store_samples(
        session,
        run=session.get_one(Run, shard.run_id),
        shard_id=shard.id,
        attempt=attempt,
        item_ids=shard.item_ids,
        drawings=[
            Drawing(
                "direct",
                [
                    Drawn(
                        item_id=shard.item_ids[0],
                        prompt=", seeing that",
                        temperature=0.3,
                        number=number,
                        seed=number,
                        text=text,
                        log_probability=-1.0,
                        n_tokens=3,
                        is_cut=mark,
                    )
                    for number, (text, mark) in enumerate(zip_longest(texts, cut), start=1)
                ],
            )
        ],
        settings=settings or LoopSettings(),
        seconds=0.1,
        failures=failures,
    )


def test_equal_texts_are_one_candidate_drawn_several_times(
    session: Session, shard: RunShard
) -> None:
    store(session, shard, ["It is red.", "it is red", "  it  is red ", "it is round", "ab"])
    candidates = session.scalars(select(Candidate).order_by(Candidate.id)).all()
    assert sorted(candidate.text for candidate in candidates) == ["It is red.", "it is round"]
    draws = dict(
        session.execute(
            select(Candidate.text, RoundCandidate.n_draws).join(
                RoundCandidate, RoundCandidate.candidate_id == Candidate.id
            )
        ).all()
    )
    assert draws == {"It is red.": 3, "it is round": 1}
    # Every draw is kept, also the one that is too short to be a candidate.
    samples = session.scalars(select(Sample).order_by(Sample.number)).all()
    assert [sample.candidate_id is None for sample in samples] == [False] * 4 + [True]
    assert session.scalars(select(RoundItem.state)).one() is RoundItemState.OPEN


def test_texts_that_differ_in_a_sign_a_symbol_or_a_vowel_sign_are_candidates_of_their_own(
    session: Session, shard: RunShard
) -> None:
    texts = ["it is -5", "it is 5", "it costs $5", "it costs €5", "yes 👍", "yes 👎", "कील", "कुल"]
    store(session, shard, texts)
    assert set(session.scalars(select(Candidate.text))) == set(texts)
    assert set(session.scalars(select(Candidate.key_version))) == {2}


def test_each_draw_says_whether_it_was_cut(session: Session, shard: RunShard) -> None:
    marks = [True, False, None]
    store(session, shard, ["it is red and", "it is red.", "it is round"], cut=marks)
    assert session.scalars(select(Sample.is_cut).order_by(Sample.number)).all() == marks


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        (FailureKind.IMAGE, RoundItemState.SET_ASIDE, "Its image cannot be used."),
        (FailureKind.PROMPT, RoundItemState.SET_ASIDE, "The model cannot be asked about it."),
        (FailureKind.SERVER, RoundItemState.DONE, None),
    ],
)
def test_an_item_is_set_aside_where_the_next_round_would_fail_alike(
    session: Session,
    item: Item,
    shard: RunShard,
    kind: FailureKind,
    state: RoundItemState,
    reason: str | None,
) -> None:
    other = make_item(session, session.get_one(Project, item.project_id))
    shard.item_ids = [item.id, other.id]
    session.flush()
    store(session, shard, [], failures=[Failure(item.id, kind, "Why.")])
    place = session.scalars(select(RoundItem).where(RoundItem.item_id == item.id)).one()
    session.refresh(place)
    assert (place.state, place.set_aside_reason) == (state, reason)


def test_an_item_with_nothing_to_show_is_done(session: Session, shard: RunShard) -> None:
    store(session, shard, ["", "a"])
    assert session.scalars(select(RoundItem.state)).one() is RoundItemState.DONE


def test_an_item_that_was_excluded_meanwhile_is_not_opened(
    session: Session, shard: RunShard
) -> None:
    session.scalars(select(RoundItem)).one().state = RoundItemState.RESTING
    session.flush()
    store(session, shard, ["it is red"])
    assert session.scalars(select(RoundItem.state)).one() is RoundItemState.RESTING


def test_who_lost_the_shard_cannot_finish_it(session: Session, shard: RunShard) -> None:
    shard.attempt = 2
    session.flush()
    with pytest.raises(LostRun):
        store(session, shard, [], attempt=1)


@pytest.mark.parametrize(("order", "is_ahead"), [("uncertainty", True), ("random", False)])
def test_what_the_model_draws_differently_each_time_stands_ahead_where_it_shall(
    session: Session, item: Item, shard: RunShard, order: Order, is_ahead: bool
) -> None:
    settings = LoopSettings(judging=JudgingSettings(order=order))
    store(session, shard, ["a", "one", "another", "a third"], settings=settings)
    (place,) = session.scalars(select(RoundItem)).all()
    assert (place.priority > 0) is is_ahead


# --- Monologues ------------------------------------------------------------------------------


def monologue(number: int, outcome: Outcome, *asked: str, text: str = "") -> Drawn:
    turns = tuple(
        Turn(asked=question, observed="red", is_repeated=question in asked[:place])
        for place, question in enumerate(asked)
    )
    return Drawn(
        item_id=0,
        prompt=", seeing that",
        temperature=0.3,
        number=number,
        seed=number,
        text=text,
        log_probability=-1.0,
        n_tokens=10,
        trace=MonologueTrace(turns=turns, outcome=outcome).model_dump(mode="json"),
    )


def test_monologues_without_a_rationale_are_kept_and_counted_and_make_no_candidate(
    session: Session, shard: RunShard, item: Item
) -> None:
    drawn = [
        monologue(1, Outcome.EXPLAINED, "what color?", "what size?", text="it is red"),
        monologue(2, Outcome.WRONG_ANSWER, "what color?", "what color?"),
        monologue(3, Outcome.WRONG_ANSWER),
        monologue(4, Outcome.NOT_UNDERSTOOD),
        monologue(5, Outcome.ASKED_TOO_OFTEN, "what color?", "what size?"),
    ]
    run = session.get_one(Run, shard.run_id)
    store_samples(
        session,
        run=run,
        shard_id=shard.id,
        attempt=1,
        item_ids=[item.id],
        drawings=[Drawing("monologue", [replace(draw, item_id=item.id) for draw in drawn])],
        settings=LoopSettings(),
        seconds=0.1,
    )
    samples = session.scalars(select(Sample).order_by(Sample.number)).all()
    assert [sample.candidate_id is not None for sample in samples] == [True] + [False] * 4
    assert [sample.trace["outcome"] for sample in samples if sample.trace] == [
        draw.trace["outcome"] for draw in drawn if draw.trace
    ]
    assert session.scalars(select(Candidate.text)).all() == ["it is red"]
    assert run.round_id is not None
    tally = count_episodes(session, run.round_id)
    assert tally is not None
    assert tally.dump() == {
        "explained": 1,
        "wrong_answer": 2,
        "not_understood": 1,
        "asked_too_often": 1,
        "turns": 6,
        "repeated": 1,
        "tokens": 50,
    }
    assert (tally.n_episodes, tally.turns_per_episode) == (5, 1.2)


def test_the_exact_critic_says_which_looks_at_a_scene_help_and_see_what_is_so(
    session: Session, shard: RunShard, item: Item
) -> None:
    """The ball is red. Of an item without facts the critic says nothing."""
    ball = Obj(shape="sphere", color="red", size="large", material="metal", row=0, col=2)
    item.question, item.facts = "what color is the ball?", Scene((ball,)).to_dict()
    draws = [
        monologue(
            1, Outcome.EXPLAINED, "what color is the ball?", "what color is the ball?", text="x"
        ),
        monologue(2, Outcome.WRONG_ANSWER, "what size is the ball?"),
        monologue(3, Outcome.WRONG_ANSWER, "what is the ball for?"),
    ]
    tally = sampling.count_episodes(session, [replace(draw, item_id=item.id) for draw in draws])
    assert (tally.turns, tally.critic_asked, tally.critic_useful) == (4, 4, 1)
    assert (tally.critic_observed, tally.critic_true) == (3, 2)
    assert (tally.useful_share, tally.true_share) == (0.25, 2 / 3)
    item.facts = None
    tally = sampling.count_episodes(session, [replace(draw, item_id=item.id) for draw in draws])
    assert (tally.turns, tally.critic_asked, tally.useful_share, tally.true_share) == (
        4,
        0,
        None,
        None,
    )
    assert not [name for name in tally.dump() if name.startswith("critic")]


def test_draws_of_another_strategy_are_counted_as_no_monologues(
    session: Session, shard: RunShard, item: Item
) -> None:
    run = session.get_one(Run, shard.run_id)
    assert run.round_id is not None
    store(session, shard, ["it is red"])
    assert count_episodes(session, run.round_id) is None
