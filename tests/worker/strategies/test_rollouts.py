"""What the roles of a monologue learn from by rewards, played by scripted models."""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.round_settings import MonologueSettings
from app.strategies.monologue import Turn
from tests.worker.strategies.test_monologue import Script, asks_twice, sees, steps
from worker.ml.reinforcement.types import Rolled, Visit
from worker.ml.types import ANSWER, Draw, Failed
from worker.strategies.contract import Marker
from worker.strategies.monologue.rollouts import (
    SAID,
    Rewarded,
    Rewards,
    Rollouts,
    nobody_marked,
)
from worker.strategies.monologue.wording import OBSERVATION, QUESTION

ITEM = Rewarded("five", Path("scene.png"), "is the cone as large as the ball?", "No")
REWARDS = Rewards()
VISIT = Visit(epoch=1, item=0, draws=(0, 1, 2))


def roll(
    role: str,
    reasoner: Callable[[Draw], str | Failed] = asks_twice,
    observer: Callable[[Draw], str | Failed] = sees,
    *,
    rewards: Rewards = REWARDS,
    marker: Marker = nobody_marked,
    visits: Sequence[Visit] = (VISIT,),
) -> tuple[list[Rolled], Script, Script]:
    asking, looking = Script(reasoner), Script(observer)
    rollouts = Rollouts(
        role,
        {"reasoner": asking, "observer": looking},
        [ITEM],
        MonologueSettings(),
        rewards,
        temperature=1.0,
        seed=3,
        marker=marker,
    )
    return rollouts(visits), asking, looking


def test_the_reasoner_learns_its_questions_and_its_answer_as_they_were_sampled() -> None:
    rolled, reasoner, observer = roll("reasoner")
    assert [one.outcome for one in rolled] == ["right"] * 3
    assert [(one.reward, one.earned) for one in rolled] == [(1.0, ())] * 3
    example = rolled[0].example
    assert example is not None
    assert example.image is None
    assert [part.loss for part in example.parts] == [QUESTION, None, QUESTION, None, ANSWER]
    assert example.parts[0].tokens == tuple(map(ord, "look: what size is the cone?"))
    # No rationale is asked for, and the draws of a visit differ by their seeds alone.
    assert len(reasoner.asked) == 3
    assert len({draw.seed for draw in reasoner.asked[0]}) == 3
    assert {draw.temperature for draw in reasoner.asked[0]} == {1.0}
    assert {draw.temperature for draws in observer.asked for draw in draws} == {0.0}


def test_the_seeds_are_those_of_item_epoch_and_draw_whatever_is_played_beside() -> None:
    again = Visit(epoch=2, item=0, draws=(0, 1, 2))
    _, alone, _ = roll("reasoner")
    _, beside, _ = roll("reasoner", visits=[again, VISIT])
    seeds = [draw.seed for draw in beside.asked[0]]
    assert seeds[3:] == [draw.seed for draw in alone.asked[0]]
    assert not set(seeds[:3]) & set(seeds[3:])


def test_words_that_are_no_answer_are_learned_from_and_worth_nothing() -> None:
    rolled, _, _ = roll("reasoner", lambda _draw: "look: what…")
    assert [(one.reward, one.outcome) for one in rolled] == [(0.0, "not_understood")] * 3
    example = rolled[0].example
    assert example is not None
    assert [(part.loss, part.is_open) for part in example.parts] == [(SAID, True)]
    fined, _, _ = roll("reasoner", lambda _draw: "look: what…", rewards=Rewards(not_understood=0.2))
    assert [one.reward for one in fined] == [-0.2] * 3


def test_marks_count_for_the_role_that_they_are_about() -> None:
    def marker(item: int, turn: Turn) -> tuple[float | None, float | None]:
        assert item == 0
        return (1.0 if "cone" in turn.asked else -0.5), (1.0 if "small" in turn.observed else None)

    rewards = Rewards(question=0.4, observation=0.3)
    asked, _, _ = roll("reasoner", rewards=rewards, marker=marker)
    assert [round(one.reward, 6) for one in asked] == [1.2] * 3  # 1 + 0.4 * (1 - 0.5)
    assert {one.earned for one in asked} == {(0.4, -0.2)}, "each question its own"
    seen, _, _ = roll("observer", rewards=rewards, marker=marker)
    assert {one.earned for one in seen} == {()}, "a look is all that is learned"
    assert {round(one.reward, 6) for one in seen} <= {1.0, 1.3}


def test_a_question_that_was_asked_before_earns_nothing() -> None:
    def asks_again(draw: Draw) -> str:
        return "look: what size is the cone?" if len(steps(draw)) < 4 else "yes"

    rewards = Rewards(question=0.5, repeated=0.1)
    rolled, _, _ = roll("reasoner", asks_again, rewards=rewards, marker=lambda _i, _t: (1.0, None))
    assert [(one.outcome, round(one.reward, 6)) for one in rolled] == [("wrong_answer", 0.4)] * 3


def test_the_observer_learns_one_look_from_which_the_resting_reasoner_goes_on() -> None:
    def answers_what_it_saw(draw: Draw) -> str:
        said = steps(draw)
        if not said:
            return "look: is it small?"
        return "no" if "small" in said[-1] else "yes"

    def sees_by_seed(draw: Draw) -> str:
        return "large" if draw.temperature == 0 or draw.seed % 2 else "small"

    rolled, reasoner, observer = roll("observer", answers_what_it_saw, sees_by_seed)
    examples = [one.example for one in rolled if one.example is not None]
    assert len(examples) == 3
    assert {example.image for example in examples} == {ITEM.image}
    assert {example.question for example in examples} == {"is it small?"}
    assert [part.loss for example in examples for part in example.parts] == [OBSERVATION] * 3
    said = [example.parts[0].text for example in examples]
    assert [one.reward for one in rolled] == [1.0 if text == "small" else 0.0 for text in said]
    # All draws go on with the same seed: what differs in the end comes of what was seen.
    assert len({draw.seed for draw in reasoner.asked[-1]}) == 1
    assert [draw.temperature for draw in observer.asked[1]] == [1.0] * 3


def test_an_observer_that_is_asked_nothing_learns_nothing() -> None:
    rolled, _, observer = roll("observer", lambda _draw: "no")
    assert [(one.example, one.reward) for one in rolled] == [(None, 1.0)] * 3
    assert not observer.asked


def test_a_draw_that_fails_is_worth_nothing_and_teaches_nothing() -> None:
    rolled, _, _ = roll("observer", observer=lambda _draw: Failed("no such picture", "image"))
    assert [(one.example, one.reward, one.outcome) for one in rolled] == [(None, 0.0, "failed")] * 3
