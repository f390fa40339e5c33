"""Self-questioning as a strategy of the loop."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.kit.storage import image_path
from app.models import Image, Item
from app.queries.rounds.questions import KnownQuestions
from app.round_settings import LoopSettings
from app.same_text import text_key
from app.services.rounds.questions import Inquiry, ProposedQuestion
from app.services.rounds.sampling import Drawn
from app.strategies.self_questioning import MODEL, SELF_QUESTIONING, ProbedTrace
from worker.ml.abilities import Ability
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import (
    ASKER,
    PROJECTOR,
    WORDS,
    AdapterSettings,
    Example,
    ModuleSettings,
    Prompt,
)
from worker.strategies.captions import caption_of
from worker.strategies.contract import Lesson, Models, Proposed
from worker.strategies.costs import Counted, share_out
from worker.strategies.direct import Direct
from worker.strategies.output import with_output
from worker.strategies.self_questioning.answering import answer_each
from worker.strategies.self_questioning.asking import AskedAbout, Wanted, ask_about
from worker.strategies.self_questioning.dialogues import (
    describing,
    make_dialogues,
    make_dropped,
)
from worker.strategies.self_questioning.probe import Probed, probe


class SelfQuestioning(Direct):
    """Answers and explains as the strategy `direct` does, and learns dialogues beside it, in which
    it asks too."""

    name = SELF_QUESTIONING.name
    needs = (Ability.TURNS,)
    may_need = (Ability.PROTOTYPES, Ability.CAPTIONS)

    def needed(self, settings: LoopSettings, role: str) -> tuple[Ability, ...]:  # noqa: ARG002
        own = settings.self_questioning
        wanted = {
            Ability.PROTOTYPES: own.prototypes,
            Ability.CAPTIONS: bool(own.caption_epochs and own.tune_projector),
        }
        return (*self.needs, *(one for one in self.may_need if wanted[one]))

    def adapt(
        self,
        role: str,
        adapter: AdapterSettings,
        settings: LoopSettings,
        n_words: Callable[[], int],
    ) -> AdapterSettings:
        """Returns what the settings want and, as they say, the row of the role that asks,
        prototypes, a tuned projector, and a tuned output layer of a base that knows few words."""
        if role != MODEL:
            return adapter
        own = settings.self_questioning
        modules: dict[str, ModuleSettings] = {}
        if own.question_row:
            modules["asker"] = ModuleSettings("rows", WORDS, {"names": [ASKER]})
        if own.prototypes:
            options = {"iterations": own.prototype_iterations}
            modules["prototypes"] = ModuleSettings("prototypes", PROJECTOR, options)
        if own.tune_projector:
            modules["projector"] = ModuleSettings("tuned", PROJECTOR)
        more = replace(adapter, modules={**adapter.modules, **modules})
        return with_output(more, own.tune_output_up_to, n_words)

    def propose(
        self,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        round_number: int,
    ) -> Proposed:
        """Returns a text for each draw of the item's answer; where the settings want it, each with
        what the model doubts of it."""
        proposed = super().propose(models, items, settings, round_number)
        if not settings.self_questioning.probe_questions:
            return proposed
        by_id = {item.id: (item, image) for item, image in items}
        texts = {(draw.item_id, text_key(draw.text)): draw for draw in proposed.drawn if draw.text}
        probed = [
            Probed(
                (round_number, item.external_id, key),
                image_path(image.sha256, image.media_type),
                item.question,
                item.answer,
                draw.text,
            )
            for (item_id, key), draw in texts.items()
            for item, image in [by_id[item_id]]
        ]
        opener, own = settings.sampling.openers[0], settings.self_questioning
        model = Counted(models[MODEL])
        doubts = probe(model, probed, own, opener, seed=settings.seed)
        traces = {
            place: ProbedTrace(doubts=some).model_dump(mode="json")
            for place, some in zip(texts, doubts, strict=True)
        }
        drawn = [
            replace(draw, trace=traces.get((draw.item_id, text_key(draw.text))))
            for draw in proposed.drawn
        ]
        return replace(proposed, drawn=_with_tokens(drawn, model.n_tokens))

    def inquire(
        self,
        models: Models,
        images: Sequence[tuple[Image, KnownQuestions]],
        settings: LoopSettings,
        round_number: int,
    ) -> Sequence[Inquiry]:
        """Returns what the model asks about each image, with its own answers; nothing of one that
        it cannot be shown."""
        wanted = [
            Wanted(
                image.sha256,
                image_path(image.sha256, image.media_type),
                known.standing,
                known.former,
            )
            for image, known in images
        ]
        asked = ask_about(
            models[MODEL],
            wanted,
            settings.self_questioning,
            seed=settings.seed,
            round_number=round_number,
            top_k_share=settings.sampling.top_k_share,
        )
        pictures = {one.key: one.picture for one in wanted}
        answers = iter(
            answer_each(
                models[MODEL],
                [
                    Prompt(pictures[one.key], question.text, None, "")
                    for one in asked
                    for question in one.questions
                ],
            )
        )
        return [
            _as_inquiry(one, [next(answers) for _ in one.questions]) for one in asked if one.n_drawn
        ]

    def unwanted_weight(self, settings: LoopSettings) -> float:
        return settings.self_questioning.dropped_weight

    def teach_all(
        self, role: str, lessons: Sequence[Lesson], settings: LoopSettings
    ) -> list[tuple[int, Example]]:
        """Returns each lesson as it is asked for in sampling, and all of them as dialogues; where
        the settings want it, also what was asked in vain.

        A model that is taught before it asks has described nothing yet, and asking begins with a
        description: it learns that from captions.
        """
        alone = super().teach_all(role, lessons, settings)
        if role != MODEL:
            return alone
        if not settings.self_questioning.ask_untaught:
            lessons = _captioned(lessons, settings.seed)
        together = make_dialogues(lessons, settings)
        # A dialogue of one turn that nobody described is the lesson alone.
        learned = [*alone, *((place, one) for place, one in together if _has_turns(one))]
        if not self.unwanted_weight(settings):
            return learned
        return [*learned, *make_dropped(lessons)]

    def first_stage(
        self, role: str, lessons: Sequence[Lesson], settings: LoopSettings
    ) -> Sequence[Example]:
        """Returns the captions of pictures, where the settings want that they are learned first."""
        if role != MODEL or not settings.self_questioning.caption_epochs:
            return ()
        captions = _captions(lessons, settings.seed)
        return [describing(picture, caption) for picture, caption in sorted(captions.items())]

    def first_epochs(self, settings: LoopSettings, n_examples: int) -> int:  # noqa: ARG002
        return settings.self_questioning.caption_epochs

    def first_adapter(self, adapter: AdapterSettings) -> AdapterSettings:
        """Returns prototypes and a tuned projector alone: tower and language model rest."""
        modules = {name: one for name, one in adapter.modules.items() if one.place == PROJECTOR}
        return AdapterSettings(None, {}, modules)


def _with_tokens(drawn: Sequence[Drawn], n_tokens: int) -> list[Drawn]:
    """The draws, with the tokens of all doubts shared out among those that have a text."""
    shares = iter(share_out(n_tokens, max(1, sum(bool(draw.text) for draw in drawn))))
    return [
        replace(draw, n_tokens=draw.n_tokens + next(shares))
        if draw.text and draw.n_tokens is not None
        else draw
        for draw in drawn
    ]


def _as_inquiry(asked: AskedAbout, answers: Sequence[str | None]) -> Inquiry:
    return Inquiry(
        image_sha256=asked.key,
        description=asked.description,
        questions=[
            ProposedQuestion(one.text, one.n_draws, one.seed, one.log_probability, answer)
            for one, answer in zip(asked.questions, answers, strict=True)
        ],
        n_drawn=asked.n_drawn,
        n_known=asked.n_known,
        n_empty=asked.n_empty,
        n_over=asked.n_over,
    )


def _captions(lessons: Sequence[Lesson], seed: int) -> dict[Path, str]:
    """What facts say of each picture, where they say something."""
    facts = {lesson.image: lesson.facts for lesson in lessons if lesson.facts}
    return {
        picture: caption
        for picture, said in facts.items()
        if (caption := caption_of(said, derive_seed(seed, "caption", picture.name)))
    }


def _captioned(lessons: Sequence[Lesson], seed: int) -> list[Lesson]:
    """The lessons with captions of those pictures that the model has not described itself."""
    captions = _captions(lessons, seed)
    return [
        replace(lesson, description=captions[lesson.image], is_caption=True)
        if not lesson.description and lesson.image in captions
        else lesson
        for lesson in lessons
    ]


def _has_turns(example: Example) -> bool:
    return any(part.turn is not None for part in example.parts)
