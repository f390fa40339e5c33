"""Self-questioning: dialogues in which the model asks, and questions folded and counted."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.models import Image, Item
from app.round_settings import LoopSettings, SelfQuestioningSettings
from app.scenes.scene import random_scene
from app.strategies.same_question import question_key
from app.strategies.self_questioning import MODEL
from worker.ml.abilities import Ability
from worker.ml.types import (
    ASKER,
    DROPPED,
    PROJECTOR,
    AdapterSettings,
    Draw,
    Example,
    Failed,
    LoraSettings,
    ModuleSettings,
    SampleConfig,
    Sampled,
)
from worker.stages.training_settings import train_config
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson
from worker.strategies.costs import Counted
from worker.strategies.self_questioning.asking import Wanted, ask_about
from worker.strategies.self_questioning.dialogues import describing, make_dialogues
from worker.strategies.self_questioning.probe import Probed, probe
from worker.strategies.self_questioning.wording import DESCRIBE

OPENER = ", seeing that"


def settings(**own: object) -> LoopSettings:
    return LoopSettings.model_validate(
        {"strategy": "self_questioning", "seed": 5, "self_questioning": own}
    )


def lesson(image: str, number: int, **more: object) -> Lesson:
    return Lesson(Path(image), f"question {number} ?", f"answer {number}", None, **more)  # type: ignore[arg-type]


def said(example: Example) -> str:
    """A dialogue as it reads."""
    parts = (f"<{part.turn}>" if part.turn else part.text for part in example.parts)
    return " ".join([example.question, *parts])


# --- What is learned -------------------------------------------------------------------------


def test_the_first_question_is_never_its_own_and_later_ones_are_with_delta() -> None:
    lessons = [lesson(f"{image}.png", n) for image in range(300) for n in range(3)]
    for delta, expected in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        made = [one for _, one in make_dialogues(lessons, settings(delta=delta))]
        assert len(made) == 300
        assert all(one.parts[0].text.startswith("answer") for one in made)
        n_own = Counter(name for one in made for name in one.losses)["question"]
        assert n_own / 600 == pytest.approx(expected, abs=0.06)
        assert Counter(name for one in made for name in one.losses)["answer"] == 900


def test_with_a_description_every_question_can_be_its_own() -> None:
    told = [lesson("a.png", n, description="a red ball") for n in range(2)]
    ((place, one),) = make_dialogues(told, settings(delta=1.0))
    assert place in {0, 1}
    assert one.question == DESCRIBE
    first, second = (0, 1) if place == 0 else (1, 0)
    assert said(one) == (
        f"{DESCRIBE} a red ball <user> <asker> question {first} ? <assistant> answer {first} "
        f"<user> <asker> question {second} ? <assistant> answer {second}"
    )
    assert one.losses == ("question", "answer", "question", "answer")
    by_people = [lesson("a.png", 1, description="a red ball", is_caption=True)]
    ((_, one),) = make_dialogues(by_people, settings())
    assert one.losses[0] == "description"
    assert describing(Path("a.png"), "a red ball").losses == ("description",)


def test_a_dialogue_holds_some_questions_of_an_image_each_once_in_any_order() -> None:
    lessons = [lesson("a.png", n % 5) for n in range(10)]
    made = [one for _, one in make_dialogues(lessons, settings(dialogue_turns=3))]
    asked = [[part.text for part in one.parts if part.text.startswith("answer")] for one in made]
    assert [len(one) for one in asked] == [3, 3, 3, 1] or [len(one) for one in asked] == [
        3,
        3,
        2,
        2,
    ]
    assert all(len(set(one)) == len(one) for one in asked)
    assert Counter(text for one in asked for text in one) == {f"answer {n}": 2 for n in range(5)}
    assert [one for _, one in make_dialogues(lessons, settings(dialogue_turns=3))] == made
    among = [lesson("b.png", 1), *lessons]
    assert [one for _, one in make_dialogues(among, settings(dialogue_turns=3))][1:] == made


def test_rationales_follow_answers_and_weights_are_their_mean() -> None:
    one = Lesson(Path("a.png"), "q1 ?", "red", "it looks red", 1.0)
    other = Lesson(Path("a.png"), "q2 ?", "two", None, 0.5)
    ((_, made),) = make_dialogues([one, other], settings(delta=0.0))
    assert made.weight == 0.75
    assert "red , seeing that  it looks red" in said(made)


def test_lessons_are_taught_alone_and_together() -> None:
    procedure = get_procedure("self_questioning")
    lessons = [lesson("a.png", 0), lesson("a.png", 1), lesson("b.png", 2)]
    taught = procedure.teach_all("model", lessons, settings())
    assert [place for place, _ in taught[:3]] == [0, 1, 2]
    assert [example.question for _, example in taught[:3]] == [one.question for one in lessons]
    assert len(taught) == 4, "what stands alone on its image is no dialogue"
    assert taught[3][1].image == Path("a.png")
    assert get_procedure("direct").teach_all("model", lessons, settings()) == taught[:3]


def test_who_is_taught_before_it_asks_learns_what_asking_begins_with() -> None:
    procedure = get_procedure("self_questioning")
    scene = {"caption": "a red ball"}
    lessons = [
        replace(lesson("a.png", 0), facts=scene),
        replace(lesson("b.png", 1), facts=scene, description="a blue one"),
        lesson("c.png", 2),
    ]
    own = settings(ask_untaught=False, delta=1.0)
    dialogues = [one for _, one in procedure.teach_all("model", lessons, own)][3:]
    assert {one.image.name: one.losses for one in dialogues} == {
        "a.png": ("description", "question", "answer"),
        "b.png": ("question", "answer"),  # what it said itself is read, and never learned
    }
    assert said(dialogues[0]).startswith(f"{DESCRIBE} a red ball <user> <asker> question 0 ?")
    at_once = procedure.teach_all("model", lessons, settings(delta=1.0))[3:]
    assert [one.image.name for _, one in at_once] == ["b.png"]


def test_what_its_adapter_holds() -> None:
    adapt = get_procedure("self_questioning").adapt
    lora = AdapterSettings(LoraSettings(rank=2))
    plain = adapt("model", lora, settings(question_row=False), lambda: 32_000)
    assert plain == lora
    whole = adapt("model", lora, settings(prototypes=True, tune_projector=True), lambda: 700)
    assert {name: (one.kind, one.place) for name, one in whole.modules.items()} == {
        "asker": ("rows", "the words"),
        "prototypes": ("prototypes", PROJECTOR),
        "projector": ("tuned", PROJECTOR),
        "output": ("tuned", "lm_head"),
    }
    assert whole.modules["asker"].options == {"names": [ASKER]}
    assert whole.modules["prototypes"] == ModuleSettings("prototypes", PROJECTOR, {"iterations": 2})
    needed = partial(get_procedure("self_questioning").needed, role=MODEL)
    assert needed(settings()) == (Ability.TURNS,)
    assert needed(settings(prototypes=True)) == (Ability.TURNS, Ability.PROTOTYPES)
    captions = {"caption_epochs": 1, "tune_projector": True}
    assert needed(settings(**captions)) == (Ability.TURNS, Ability.CAPTIONS)
    assert needed(settings(prototypes=True, caption_epochs=1)) == (
        Ability.TURNS,
        Ability.PROTOTYPES,
    )


# --- What was asked in vain, and what is learned first ----------------------------------------


def test_dropped_questions_are_learned_where_the_model_asks_and_only_if_wanted() -> None:
    procedure = get_procedure("self_questioning")
    lessons = [
        lesson("a.png", 0, description="a red ball", dropped=("is it blue ?", "is it small ?")),
        lesson("b.png", 1, dropped=("is it big ?",)),
        lesson("a.png", 2, description="a red ball", dropped=("is it blue ?", "is it small ?")),
    ]
    taught = procedure.teach_all("model", lessons, settings(dropped_weight=1.0))
    found = [(place, said(one), one.losses) for place, one in taught if DROPPED in one.losses]
    assert found == [
        (0, f"{DESCRIBE} a red ball <user> <asker> is it blue ?", (DROPPED,)),
        (0, f"{DESCRIBE} a red ball <user> <asker> is it small ?", (DROPPED,)),
        (1, "question 1 ? answer 1 <user> <asker> is it big ?", (DROPPED,)),
    ]
    untouched = [replace(one, dropped=()) for one in lessons]
    off = procedure.teach_all("model", lessons, settings())
    assert off == procedure.teach_all("model", untouched, settings())
    assert weights_of(settings(dropped_weight=2.0))[DROPPED] == 2.0
    assert DROPPED not in weights_of(settings())


def weights_of(wanted: LoopSettings) -> Mapping[str, float]:
    weight = get_procedure("self_questioning").unwanted_weight(wanted)
    return train_config(wanted, balance=1.0, unwanted_weight=weight).loss_weights


def test_captions_teach_prototypes_and_projector_alone_and_first() -> None:
    procedure = get_procedure("self_questioning")
    scene = random_scene(random.Random(3))
    lessons = [
        lesson("b.png", 0, facts={"caption": " a  red ball "}),
        lesson("a.png", 1, facts=scene.to_dict()),
        lesson("c.png", 2, facts={"weather": "rain"}),
        lesson("d.png", 3),
        lesson("b.png", 4, facts={"caption": " a  red ball "}),
    ]
    wanted = settings(caption_epochs=2, prototypes=True, tune_projector=True)
    first = procedure.first_stage("model", lessons, wanted)
    assert procedure.first_epochs(wanted, 10) == 2
    described = {one.image: one.parts for one in first}
    assert [one.image for one in first] == [Path("a.png"), Path("b.png")]
    assert [one.losses for one in first] == [("description",)] * 2
    assert described[Path("b.png")][0].text == "a red ball"
    assert described[Path("a.png")][0].text.count(" and ") == len(scene.objects) - 1
    assert procedure.first_stage("model", lessons, wanted) == first
    assert procedure.first_stage("model", lessons, settings(prototypes=True)) == ()
    whole = procedure.adapt("model", AdapterSettings(LoraSettings()), wanted, lambda: 100)
    alone = procedure.first_adapter(whole)
    assert (alone.lora, alone.sets) == (None, {})
    assert alone.modules.keys() == {"prototypes", "projector"}


def test_captions_with_nothing_to_teach_are_refused() -> None:
    with pytest.raises(ValidationError, match="Captions teach prototypes and a projector"):
        settings(caption_epochs=1)


# --- What is asked ---------------------------------------------------------------------------


class Asker:
    """Describes every picture alike and asks what it is told to ask, in turn."""

    def __init__(self, questions: Sequence[str], *, cut: int = 0) -> None:
        self.questions, self.cut = list(questions), cut
        self.asked: list[Draw] = []

    def __call__(self, draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        self.asked += draws
        made: list[Sampled | Failed] = []
        for number, draw in enumerate(draws):
            if draw.prompt.image == Path("broken.png"):
                made.append(Failed("it cannot be read", "image"))
            elif not draw.prompt.said:
                made.append(Sampled("a red ball", 3, -1.0, is_cut=False, tokens=(7, 8)))
            else:
                text = self.questions[number % len(self.questions)]
                is_cut = number < self.cut
                made.append(Sampled(text, 4, -float(number), is_cut=is_cut, tokens=(1,)))
        return made


ASKED = ("What color is it?", "how many balls are there?", "which colour is it", "", "is it red?")
OWN = SelfQuestioningSettings(n_questions=5, max_per_image=10, temperature=0.9)


def test_questions_follow_the_description_and_do_not_see_each_other() -> None:
    model = Asker(ASKED)
    [found] = ask_about(model, [Wanted("a", Path("a.png"))], OWN, seed=1, round_number=2)
    described, *questions = model.asked
    assert (described.prompt.question, described.temperature) == (DESCRIBE, 0.2)
    assert {draw.temperature for draw in questions} == {0.9}
    assert len({draw.seed for draw in questions}) == 5
    (prompt,) = {draw.prompt for draw in questions}
    assert [part.turn or part.text for part in prompt.said] == ["a red ball", "user", ASKER]
    assert prompt.said[0].tokens == (7, 8), "it goes on from what it sampled"
    assert found.description == "a red ball"


def test_near_duplicates_are_one_question_and_counted() -> None:
    [found] = ask_about(Asker(ASKED), [Wanted("a", Path("a.png"))], OWN, seed=1, round_number=1)
    assert {one.text: one.n_draws for one in found.questions} == {
        "What color is it?": 2,
        "how many balls are there?": 1,
        "is it red?": 1,
    }
    assert found.questions[0].text == "What color is it?", "the most drawn first, as it said best"
    assert (found.n_drawn, found.n_empty, found.n_known, found.n_over) == (5, 1, 0, 0)


def test_what_is_known_of_an_image_is_not_asked_again_and_there_is_a_limit() -> None:
    known = ["What is the colour of it?", "How many cubes?", "Is it red"]
    few = OWN.model_copy(update={"max_per_image": 4})
    wanted = [Wanted("a", Path("a.png"), known), Wanted("full", Path("b.png"), [*known, "why?"])]
    model = Asker(ASKED)
    found, full = ask_about(model, wanted, few, seed=1, round_number=1)
    assert [one.text for one in found.questions] == ["What color is it?"]
    assert (found.n_known, found.n_over) == (1, 1)
    assert full.questions == ()
    assert {draw.prompt.image for draw in model.asked} == {Path("a.png")}, "nothing is drawn"


def test_what_was_dropped_is_not_asked_again_and_leaves_room() -> None:
    dropped = ["Which color is it?", "why?", "who?"]
    few = OWN.model_copy(update={"max_per_image": 2})
    wanted = [Wanted("a", Path("a.png"), ["How many cubes?"], dropped)]
    [found] = ask_about(Asker(ASKED), wanted, few, seed=1, round_number=1)
    assert len(found.questions) == 1
    assert found.questions[0].text != "What color is it?"
    assert (found.n_known, found.n_over) == (2, 1)


def test_cut_questions_and_broken_pictures_are_told_apart() -> None:
    wanted = [Wanted("x", Path("broken.png")), Wanted("a", Path("a.png"))]
    broken, cut = ask_about(Asker(["why?"], cut=2), wanted, OWN, seed=1, round_number=1)
    assert broken.failed is not None
    assert broken.failed.cause == "image"
    assert (cut.n_empty, [one.n_draws for one in cut.questions]) == (2, [3])


def test_what_is_drawn_depends_on_the_picture_alone() -> None:
    def seeds(*keys: str) -> list[int]:
        model = Asker(ASKED)
        pictures = [Wanted(key, Path(f"{key}.png")) for key in keys]
        ask_about(model, pictures, OWN, seed=1, round_number=1)
        return sorted(draw.seed for draw in model.asked if draw.prompt.image == Path("b.png"))

    assert seeds("b") == seeds("a", "b", "c")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("What colour is the ball?", "which color is a ball", True),
        ("How many cubes are there?", "how many cubes are in the picture?", True),
        ("what is it in the image?", "What is it?", True),
        ("is the cube left of the ball?", "is the cube right of the ball?", False),
        ("is the cube left of the ball?", "is the ball left of the cube?", False),
        ("how many balls?", "how many red balls?", False),
    ],
)
def test_only_what_surely_asks_the_same_is_one_question(
    one: str, other: str, is_same: bool
) -> None:
    assert (question_key(one) == question_key(other)) is is_same


def test_settings_that_do_not_go_together_are_refused() -> None:
    served = {"strategy": "self_questioning", "sampling": {"backend": "server"}}
    with pytest.raises(ValueError, match="let the workers sample"):
        LoopSettings.model_validate(served)
    twice = {
        "strategy": "self_questioning",
        "training": {"projector": True},
        "self_questioning": {"tune_projector": True},
    }
    with pytest.raises(ValueError, match="is to be tuned whole"):
        LoopSettings.model_validate(twice)


# --- Questions about a rationale --------------------------------------------------------------


class Doubter:
    """Asks about every rationale, and says of the picture and of the rationale what it is told."""

    def __init__(self, told: str) -> None:
        self.told = told
        self.asked: list[Draw] = []

    def __call__(self, draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        self.asked += draws
        return [Sampled(self._say(draw), 2, -1.0, is_cut=False, tokens=(1,)) for draw in draws]

    def _say(self, draw: Draw) -> str:
        if draw.prompt.said:
            return "what color is the ball?"
        return "red" if draw.prompt.image else self.told


@pytest.mark.parametrize(("told", "differs"), [("blue", True), ("Red.", False)])
def test_a_rationale_is_doubted_where_it_says_something_else_than_the_picture(
    told: str, differs: bool
) -> None:
    model = Doubter(told)
    one = Probed((1,), Path("a.png"), "is it a ball?", "yes", "the ball is blue")
    own = SelfQuestioningSettings(probe_questions=3)
    [[doubt]] = probe(model, [one], own, OPENER, seed=1)
    assert doubt.model_dump() == {
        "asked": "what color is the ball?",
        "from_picture": "red",
        "from_rationale": told,
        "differs": differs,
    }
    asking = [draw for draw in model.asked if draw.prompt.said]
    assert len({draw.seed for draw in asking}) == 3, "what asks the same is answered once"
    assert [part.turn or part.text for part in asking[0].prompt.said] == [
        "yes", OPENER, " the ball is blue", "user", ASKER,
    ]  # fmt: skip
    seen, told_alone = model.asked[3:]
    assert (seen.prompt.image, seen.prompt.question) == (Path("a.png"), "what color is the ball?")
    assert told_alone.prompt.image is None
    assert told_alone.prompt.question == "the ball is blue. what color is the ball?"


def test_doubts_are_a_cost_of_the_draws_that_came_to_the_texts() -> None:
    wanted = settings(probe_questions=2)
    drawing = {"temperatures": [0.1, 0.9], "n_samples": 2, "openers": [OPENER]}
    wanted = LoopSettings.model_validate({**wanted.model_dump(), "sampling": drawing})
    item = Item(id=5, external_id="five", question="is it a ball?", answer="yes")
    model = Counted(Doubter("the ball is blue"))
    image = Image(sha256="5" * 64, media_type="image/png")
    drawn = get_procedure("self_questioning").propose({MODEL: model}, [(item, image)], wanted, 1)
    assert all((draw.trace or {})["doubts"] for draw in drawn.drawn)
    # Two tokens each: a text in every draw, two questions about the one text, and two answers.
    assert [draw.n_tokens for draw in drawn.drawn] == [4, 4, 4, 4]
    assert model.n_tokens == 4 * 2 + 2 * 2 + 2 * 2
