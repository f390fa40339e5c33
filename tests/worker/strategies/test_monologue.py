"""The monologue, played by scripted models: who is asked what, how an episode ends, what stays."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.kit.errors import AppError
from app.models import Image, Item
from app.round_settings import LoopSettings
from app.services.judging.branches import Branched
from app.strategies.monologue import MonologueTrace, Outcome, Turn
from worker.ml.types import (
    ANSWER,
    DROPPED,
    RATIONALE,
    AdapterSettings,
    Draw,
    Failed,
    LoraSettings,
    ModuleSettings,
    Part,
    SampleConfig,
    Sampled,
)
from worker.strategies import get_procedure
from worker.strategies.contract import Asked, Fork, Lesson
from worker.strategies.costs import Counted, share_out
from worker.strategies.monologue.episodes import Episode, Player, Sizes, Wanted
from worker.strategies.monologue.wording import OBSERVATION, QUESTION, read_question

SETTINGS = LoopSettings.model_validate(
    {
        "strategy": "monologue",
        "sampling": {"temperatures": [0.1, 0.9], "n_samples": 2, "openers": [", seeing that"]},
        "seed": 7,
    }
)
QUESTION_OF_ITEM = "is the cone as large as the ball?"
ITEM = Item(id=5, external_id="five", question=QUESTION_OF_ITEM, answer="No")
IMAGE = Image(sha256="5" * 64, media_type="image/png")


class Script:
    """A model that says what a function makes of each draw; a text's tokens are its characters."""

    def __init__(self, say: Callable[[Draw], str | Failed]) -> None:
        self.say, self.asked = say, list[list[Draw]]()

    def __call__(self, draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        assert config.max_new_tokens > 0
        self.asked.append(list(draws))
        return [self._as_sampled(self.say(draw)) for draw in draws]

    def _as_sampled(self, said: str | Failed) -> Sampled | Failed:
        if isinstance(said, Failed):
            return said
        tokens = tuple(map(ord, said))
        return Sampled(said, len(said) + 1, -1.0, is_cut=said.endswith("…"), tokens=tokens)


def steps(draw: Draw) -> list[str]:
    return [part.text for part in draw.prompt.said]


def asks_twice(draw: Draw) -> str:
    """A reasoner that asks of both things, answers, and explains."""
    said = steps(draw)
    if not said:
        return "look: what size is the cone?"
    if len(said) == 2:
        return "look: what size is the ball?"
    return "no" if len(said) == 4 else "one is small and one is large"


CONE = "what size is the cone?"


def asked(draw: Draw) -> str:
    return draw.prompt.question


def sees(draw: Draw) -> str:
    return "small." if "cone" in draw.prompt.question else "large"


def play(
    reasoner: Callable[[Draw], str | Failed],
    observer: Callable[[Draw], str | Failed] = sees,
    *,
    n: int = 1,
    right: str | None = "no",
) -> tuple[list[Episode], Script, Script]:
    asking, looking = Script(reasoner), Script(observer)
    models = {"reasoner": asking, "observer": looking}
    wanted = [
        Wanted(
            image=Path("scene.png"),
            question=QUESTION_OF_ITEM,
            opener=", seeing that",
            temperature=0.9,
            seed=number,
            is_right=None if right is None else lambda answer: answer == right,
        )
        for number in range(n)
    ]
    player = Player(models, Sizes(32, 0.1, SETTINGS.monologue))
    return player.play(wanted), asking, looking


def test_the_reasoner_never_sees_the_picture_and_the_observer_only_what_is_asked() -> None:
    _, reasoner, observer = play(asks_twice)
    asked = [draw.prompt for draws in reasoner.asked for draw in draws]
    assert {(prompt.image, prompt.question) for prompt in asked} == {(None, QUESTION_OF_ITEM)}
    looked = [draw.prompt for draws in observer.asked for draw in draws]
    assert [(prompt.image, prompt.question) for prompt in looked] == [
        (Path("scene.png"), "what size is the cone?"),
        (Path("scene.png"), "what size is the ball?"),
    ]
    assert all(not prompt.said and not prompt.instruction for prompt in looked)


def test_an_episode_goes_on_from_the_tokens_that_were_sampled() -> None:
    [episode], reasoner, _ = play(asks_twice)
    last = reasoner.asked[-1][0].prompt.said
    assert "".join(part.text for part in last) == (
        "look: what size is the cone? see: small. look: what size is the ball? see: large. no"
        ", seeing that"
    )
    sampled = [last[0], last[2], last[4]]
    assert [part.tokens for part in sampled] == [
        tuple(map(ord, text))
        for text in ("look: what size is the cone?", "look: what size is the ball?", "no")
    ]
    assert [part.tokens for part in (last[1], last[3], last[5])] == [None] * 3
    assert all(part.is_apart for part in last)
    trace = episode.trace
    assert trace.outcome is Outcome.EXPLAINED
    assert [(turn.asked, turn.observed) for turn in trace.turns] == [
        ("what size is the cone?", "small."),
        ("what size is the ball?", "large"),
    ]
    assert (trace.answer, trace.answer_tokens) == ("no", (110, 111))
    assert trace.rationale_tokens == tuple(map(ord, "one is small and one is large"))
    assert episode.log_probability == -4.0
    assert MonologueTrace.model_validate_json(trace.model_dump_json()) == trace


def test_what_several_episodes_ask_of_a_picture_is_looked_at_once() -> None:
    episodes, reasoner, observer = play(asks_twice, n=5)
    assert [len(draws) for draws in observer.asked] == [1, 1]
    assert [len(draws) for draws in reasoner.asked] == [5, 5, 5, 5]
    assert len({draw.seed for draws in reasoner.asked for draw in draws}) == 20
    assert {episode.outcome for episode in episodes} == {Outcome.EXPLAINED}


@pytest.mark.parametrize(
    ("reasoner", "outcome", "n_turns", "answer", "said"),
    [
        (lambda _: "yes", Outcome.WRONG_ANSWER, 0, "yes", None),
        (lambda _: "look: is it red?", Outcome.ASKED_TOO_OFTEN, 2, None, "look: is it red?"),
        (lambda _: "", Outcome.NOT_UNDERSTOOD, 0, None, ""),
        (lambda _: "look: what is the…", Outcome.NOT_UNDERSTOOD, 0, None, "look: what is the…"),
        (lambda _: "look:", Outcome.WRONG_ANSWER, 0, "look:", None),
    ],
)
def test_an_episode_that_comes_to_no_rationale_says_how_it_ended(
    reasoner: Callable[[Draw], str],
    outcome: Outcome,
    n_turns: int,
    answer: str | None,
    said: str | None,
) -> None:
    [episode], *_ = play(reasoner)
    trace = episode.trace
    assert (trace.outcome, len(trace.turns), trace.answer, trace.said) == (
        outcome, n_turns, answer, said,
    )  # fmt: skip
    assert episode.rationale is None


def test_a_question_that_was_asked_before_is_marked() -> None:
    [episode], *_ = play(lambda _: "look: Is it  red?")
    assert [turn.is_repeated for turn in episode.trace.turns] == [False, True]


def test_a_model_may_answer_as_soon_as_it_knows() -> None:
    [episode], *_ = play(lambda draw: "no" if not steps(draw) else "it is plain")
    assert (episode.trace.turns, episode.trace.outcome) == ((), Outcome.EXPLAINED)


def test_a_control_token_ends_an_episode_since_it_must_not_be_read_again() -> None:
    class Damaged(Script):
        def _as_sampled(self, said: str | Failed) -> Sampled | Failed:
            return Sampled("no", 2, -1.0, is_cut=False, tokens=None)

    models = {"reasoner": Damaged(lambda _: ""), "observer": Script(sees)}
    wanted = Wanted(Path("a.png"), "what?", ", as", 0.9, 1)
    [episode] = Player(models, Sizes(32, 0.1, SETTINGS.monologue)).play([wanted])
    assert episode.trace.outcome is Outcome.NOT_UNDERSTOOD


def test_draws_have_a_trace_and_those_of_wrong_answers_no_text() -> None:
    def half_right(draw: Draw) -> str:
        said = steps(draw)
        if len(said) == 4 and draw.temperature > 0.5:
            return "yes"
        return asks_twice(draw)

    models = {"reasoner": Counted(Script(half_right)), "observer": Counted(Script(sees))}
    proposed = get_procedure("monologue").propose(models, [(ITEM, IMAGE)], SETTINGS, 3)
    found = [
        (draw.temperature, draw.number, draw.text, (draw.trace or {})["outcome"])
        for draw in proposed.drawn
    ]
    text = "one is small and one is large"
    assert found == [
        (0.1, 1, text, "explained"),
        (0.1, 2, text, "explained"),
        (0.9, 1, "", "wrong_answer"),
        (0.9, 2, "", "wrong_answer"),
    ]
    n_tokens = [len(said) + 1 for said in ("look: what size is the cone?",) * 2 + ("no", text)]
    # Four draws share the observations "small." and "large", each with its end.
    assert proposed.drawn[0].n_tokens == sum(n_tokens) + 7 // 4 + 6 // 4
    own = [model.n_tokens for model in models.values()]
    assert own[1] == 7 + 6
    assert sum(draw.n_tokens or 0 for draw in proposed.drawn) == sum(own)
    assert len({draw.seed for draw in proposed.drawn}) == 4
    assert not proposed.failures


def test_a_picture_that_cannot_be_read_costs_its_item_and_no_other() -> None:
    def cannot_see(draw: Draw) -> str | Failed:
        return Failed("cut short.", "image")

    models = {"reasoner": Script(asks_twice), "observer": Script(cannot_see)}
    proposed = get_procedure("monologue").propose(models, [(ITEM, IMAGE)], SETTINGS, 1)
    assert [(one.item_id, one.reason) for one in proposed.failures] == [(5, "cut short.")]
    assert not proposed.drawn


def test_a_held_out_item_that_comes_to_no_answer_is_answered_wrongly() -> None:
    other = Item(id=6, external_id="six", question="what is it?", answer="a ball")

    def silent_once(draw: Draw) -> str:
        return "" if draw.prompt.question == "what is it?" else asks_twice(draw)

    models = {"reasoner": Script(silent_once), "observer": Script(sees)}
    asked = [Asked(ITEM, Path("5.png")), Asked(other, Path("6.png"))]
    answered = get_procedure("monologue").answer(models, asked, SETTINGS)
    assert {key: (said.answer, said.rationale) for key, said in answered.said.items()} == {
        5: ("no", "one is small and one is large"),
        6: ("", ""),
    }


def test_an_observation_is_a_cost_of_the_draws_that_asked_for_it() -> None:
    """One of two asks for the ball, too; the first asks for the cone twice, which is seen once."""

    def curious(draw: Draw) -> str:
        said = steps(draw)
        if draw.temperature < 0.5 and len(said) == 2:
            return "look: what size is the cone?"
        return asks_twice(draw)

    models = {"reasoner": Script(curious), "observer": Script(sees)}
    sampling = SETTINGS.sampling.model_copy(update={"n_samples": 1})
    settings = SETTINGS.model_copy(update={"sampling": sampling})
    proposed = get_procedure("monologue").propose(models, [(ITEM, IMAGE)], settings, 3)
    said = ("look: what size is the cone?",) * 2 + ("no", "one is small and one is large")
    reasoned = sum(len(one) + 1 for one in said)  # the other question has as many letters
    assert [draw.n_tokens for draw in proposed.drawn] == [reasoned + 3, reasoned + 4 + 6]


def test_shares_add_up_and_are_spread_evenly() -> None:
    assert share_out(7, 3) == [2, 2, 3]
    assert share_out(2, 5) == [0, 0, 1, 0, 1]
    assert share_out(0, 2) == [0, 0]


# --- Branches ------------------------------------------------------------------------------


def goes_by_the_cone(draw: Draw) -> str:
    """A reasoner that asks of the ball only where the cone is small, and then of the cone again."""
    said = [text.strip() for text in steps(draw)]
    if not said:
        return "look: what size is the cone?"
    if said[-1] == "see: small.":
        return "look: what size is the ball?"
    if said[-1] == "see: huge." and len(said) == 2:
        return "look: what size is the cone?"
    return "no" if said[-1].startswith("see:") else f"because {said[-3]}"


def fork_of(episode: Episode, turn: int, observed: str) -> Fork:
    return Fork(
        item=ITEM,
        picture=Path("scene.png"),
        opener=", seeing that",
        temperature=0.9,
        seed=7,
        trace=episode.trace.model_dump(mode="json"),
        turn=turn,
        observed=observed,
    )


def branch_of(fork: Fork) -> tuple[Branched, Script, Script]:
    models = {"reasoner": Script(goes_by_the_cone), "observer": Script(sees)}
    counted = {role: Counted(model) for role, model in models.items()}
    made = get_procedure("monologue").branch(counted, fork, SETTINGS)
    assert isinstance(made, Branched)
    assert made.n_tokens == sum(model.n_tokens for model in counted.values())
    return made, *models.values()


@pytest.mark.parametrize("observed", ["large", "huge", "small"])
def test_a_branch_is_what_the_player_plays_where_that_is_seen(observed: str) -> None:
    [episode], *_ = play(goes_by_the_cone)
    assert len(episode.turns) == 2
    made, _, observer = branch_of(fork_of(episode, 1, observed))
    [played], *_ = play(
        goes_by_the_cone, lambda draw: {CONE: observed}.get(asked(draw), sees(draw))
    )
    assert MonologueTrace.model_validate(made.trace) == played.trace
    assert made.text == (played.rationale.text if played.rationale else "")
    # What the person saw is seen again where it is asked again: nobody else looks.
    assert CONE not in {asked(draw) for draws in observer.asked for draw in draws}


def test_a_branch_keeps_what_was_before_its_turn_and_counts_what_came_after() -> None:
    [episode], *_ = play(goes_by_the_cone)
    made, reasoner, _ = branch_of(fork_of(episode, 2, "tiny"))
    trace = MonologueTrace.model_validate(made.trace)
    assert [(turn.asked, turn.observed) for turn in trace.turns] == [
        (CONE, "small."),
        ("what size is the ball?", "tiny"),
    ]
    assert [turn.asked_tokens for turn in trace.turns] == [
        turn.asked_tokens for turn in episode.trace.turns
    ]
    first = reasoner.asked[0][0].prompt.said
    assert [part.tokens is not None for part in first] == [True, False, True, False]
    assert (made.n_tokens, made.log_probability) == (len("no") + len(made.text) + 2, -2.0)
    assert {len(draws) for draws in reasoner.asked} == {1}


def test_the_seed_of_a_branch_is_of_its_draw_its_turn_and_its_words() -> None:
    [episode], *_ = play(goes_by_the_cone)
    fork = fork_of(episode, 1, "large")
    others = [
        replace(fork, seed=8),
        replace(fork, observed="big"),
        replace(fork, turn=2),
    ]
    first = branch_of(fork)[0]
    assert branch_of(fork)[0] == first
    assert len({first.seed, *(branch_of(other)[0].seed for other in others)}) == 4


def test_a_picture_that_cannot_be_read_leaves_no_branch() -> None:
    [episode], *_ = play(goes_by_the_cone)
    models = {
        "reasoner": Script(goes_by_the_cone),
        "observer": Script(lambda _: Failed("cut short.", "image")),
    }
    fork = fork_of(episode, 1, "small")
    made = get_procedure("monologue").branch(models, fork, SETTINGS)
    assert made == Failed("cut short.", "image")


def test_draws_without_turns_have_nothing_to_go_on_from() -> None:
    [episode], *_ = play(goes_by_the_cone)
    with pytest.raises(AppError, match="no turns"):
        get_procedure("direct").branch({}, fork_of(episode, 1, "large"), SETTINGS)


LESSON = Lesson(
    Path("scene.png"),
    QUESTION_OF_ITEM,
    "no",
    "one is small",
    weight=0.5,
    turns=(
        Turn(asked="what size is the cone?", observed="small", asked_tokens=(1, 2, 3)),
        Turn(asked="what size is the cone?", observed="small", is_repeated=True),
    ),
    answer_tokens=(4,),
)


def test_the_reasoner_learns_its_own_words_and_no_observation() -> None:
    [example] = get_procedure("monologue").teach("reasoner", LESSON, SETTINGS)
    assert example.image is None
    assert example.weight == 0.5
    assert [(part.text, part.loss, part.tokens) for part in example.parts] == [
        ("look: what size is the cone?", QUESTION, (1, 2, 3)),
        (" see: small.", None, None),
        (" look: what size is the cone?", QUESTION, None),
        (" see: small.", None, None),
        (" no", ANSWER, (4,)),
        (", seeing that", None, None),
        (" one is small", RATIONALE, None),
    ]


def test_the_observer_learns_each_look_once_with_its_picture() -> None:
    [example] = get_procedure("monologue").teach("observer", LESSON, SETTINGS)
    assert (example.image, example.question) == (Path("scene.png"), "what size is the cone?")
    assert example.parts == (Part("small", OBSERVATION),)


def test_the_observer_learns_what_people_say_is_true_and_the_reasoner_what_was_read() -> None:
    turns = (*LESSON.turns, Turn(asked="what size is the ball?", observed="large"))
    monologue = get_procedure("monologue")
    read = replace(LESSON, turns=turns)
    for observations, learned in [
        ((None, None, "large"), [("what size is the ball?", "large")]),
        (("tiny", "tiny", None), [("what size is the cone?", "tiny")]),
        ((None, None, None), []),
    ]:
        lesson = replace(read, observations=observations)
        looks = monologue.teach("observer", lesson, SETTINGS)
        assert [(look.question, look.parts[0].text) for look in looks] == learned
        assert monologue.teach("reasoner", lesson, SETTINGS) == monologue.teach(
            "reasoner", read, SETTINGS
        )


def test_useless_questions_and_untrue_observations_are_said_less_where_wanted() -> None:
    turns = (
        Turn(asked="is it night?", observed="no", asked_tokens=(1, 2, 3)),
        Turn(asked="what size is the cone?", observed="small", asked_tokens=(5, 6)),
    )
    lesson = replace(LESSON, turns=turns, useless=frozenset({1}), observations=("No", None))
    monologue = get_procedure("monologue")
    wanted = SETTINGS.monologue.model_copy(update={"unwanted_weight": 2.0})
    settings = SETTINGS.model_copy(update={"monologue": wanted})
    assert monologue.unwanted_weight(settings) == 2.0

    episode, useless = monologue.teach("reasoner", lesson, settings)
    assert episode.losses == (QUESTION, ANSWER, RATIONALE), "only the useful question is learned"
    assert [part.text for part in episode.parts][:4] == [
        "look: is it night?",
        " see: no.",
        " look: what size is the cone?",
        " see: small.",
    ], "and the other one is read as ever"
    assert [(part.text, part.loss, part.tokens) for part in useless.parts] == [
        ("look: is it night?", None, (1, 2, 3)),
        (" see: no.", None, None),
        (" look: what size is the cone?", DROPPED, (5, 6)),
    ]
    looks = monologue.teach("observer", lesson, settings)
    assert [(look.question, look.parts[0].text, look.losses) for look in looks] == [
        ("is it night?", "No", (OBSERVATION,)),
        ("what size is the cone?", "small", (DROPPED,)),
    ], "other capitals are no other observation"
    off = monologue.teach("observer", lesson, SETTINGS)
    assert [look.question for look in off] == ["is it night?"]
    assert monologue.unwanted_weight(SETTINGS) == 0.0


def test_a_rationale_of_another_strategy_teaches_the_observer_and_not_to_answer_blindly() -> None:
    lesson = Lesson(Path("scene.png"), "what is it?", "a ball", "it is round")
    monologue = get_procedure("monologue")
    assert monologue.teach("reasoner", lesson, SETTINGS) == ()
    [look] = monologue.teach("observer", lesson, SETTINGS)
    assert (look.question, look.parts) == ("what is it?", (Part("a ball", OBSERVATION),))
    settings = SETTINGS.model_copy(
        update={"monologue": SETTINGS.monologue.model_copy(update={"needs_a_look": False})}
    )
    [example] = monologue.teach("reasoner", lesson, settings)
    assert example.parts[0].text == "a ball"


def test_direct_drops_the_turns_of_a_lesson() -> None:
    [example] = get_procedure("direct").teach("model", LESSON, SETTINGS)
    assert [part.text for part in example.parts] == ["no", ", seeing that", " one is small"]


def test_the_reasoner_of_a_base_with_few_words_tunes_its_output_layer() -> None:
    adapt = get_procedure("monologue").adapt
    lora = AdapterSettings(LoraSettings(rank=2))
    small = adapt("reasoner", lora, SETTINGS, lambda: 700)
    assert small == AdapterSettings(
        LoraSettings(rank=2), modules={"output": ModuleSettings("tuned", "lm_head")}
    )
    assert not adapt("reasoner", lora, SETTINGS, lambda: 32_000).modules
    assert not adapt("observer", lora, SETTINGS, lambda: 700).modules


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("look: is it red?", "is it red?"),
        (" look:  is it red? ", "is it red?"),
        ("look:", None),
        ("looks red", None),
        ("red", None),
    ],
)
def test_a_question_is_told_from_an_answer_by_its_first_word(text: str, asked: str | None) -> None:
    assert read_question(text) == asked
