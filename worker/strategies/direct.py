"""ILLUME's own strategy: the model explains its answer in one breath.

Source: Brack et al. 2023, "ILLUME: Rationalizing Vision-Language Models through Human Interactions"
(arXiv 2208.08241), sections 3 and 4.
"""

from collections.abc import Mapping, Sequence

from app.kit.storage import image_path
from app.models import Image, Item
from app.round_settings import LoopSettings
from app.services.evaluation.predictions import Said
from app.services.rounds.sampling import Drawn
from app.services.runs.failures import Failure
from app.strategies.direct import DIRECT, MODEL
from worker.ml.inputs.prompts import explained
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Example, Failed, Prompt, SampleConfig, Sampled
from worker.strategies.contract import (
    Answered,
    Asked,
    Lesson,
    Models,
    Procedure,
    Proposed,
    Sampler,
)
from worker.strategies.failures import collect_failures
from worker.strategies.places import Place, make_until_enough, plan_places

ANSWER_TOKENS = 16


class Direct(Procedure):
    """Asks for rationales of the item's answer; of held-out items for an answer, then for the
    rationale of it. A lesson is one example of both."""

    name = DIRECT.name
    """Of the strategy; part of the seeds of its draws."""

    def propose(
        self,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        round_number: int,
    ) -> Proposed:
        sampling = settings.sampling
        config = SampleConfig(
            max_new_tokens=sampling.max_new_tokens, top_k_share=sampling.top_k_share
        )
        planned = plan_draws(items, settings, round_number, self.name)
        made = make_until_enough(
            planned, lambda wishes: models[MODEL](wishes, config), _text_of, sampling
        )
        drawn = [_as_drawn(place, text) for place, text in made if isinstance(text, Sampled)]
        failures = collect_failures([(place.item_id, text) for place, text in made])
        return Proposed(drawn, failures)

    def answer(self, models: Models, asked: Sequence[Asked], settings: LoopSettings) -> Answered:
        draw = models[MODEL]
        answers, unanswered = _ask(draw, "answer", asked, {}, ANSWER_TOKENS, settings)
        answered = [one for one in asked if one.item.id in answers]
        n_tokens = settings.sampling.max_new_tokens
        rationales, unexplained = _ask(draw, "rationale", answered, answers, n_tokens, settings)
        said = {item_id: Said(answers[item_id], text) for item_id, text in rationales.items()}
        return Answered(said, [*unanswered, *unexplained])

    def explain(self, models: Models, asked: Sequence[Asked], settings: LoopSettings) -> Answered:
        answers = {one.item.id: one.item.answer for one in asked}
        n_tokens = settings.sampling.max_new_tokens
        texts, failures = _ask(models[MODEL], "rationale", asked, answers, n_tokens, settings)
        return Answered({id_: Said(answers[id_], text) for id_, text in texts.items()}, failures)

    def teach(self, role: str, lesson: Lesson, settings: LoopSettings) -> Sequence[Example]:
        if role != MODEL:
            return ()
        example = explained(
            lesson.image,
            lesson.question,
            lesson.answer,
            lesson.rationale,
            settings.sampling.openers[0],
            weight=lesson.weight,
        )
        return (example,)


# --- Candidates -------------------------------------------------------------------------------


def plan_draws(
    items: Sequence[tuple[Item, Image]],
    settings: LoopSettings,
    round_number: int,
    strategy: str = DIRECT.name,
) -> list[tuple[Place, Draw]]:
    """Returns all draws of some items, each asked for a rationale of the item's answer."""
    return [
        (place, Draw(_prompt(item, image, place.opener), place.temperature, place.seed))
        for place, item, image in plan_places(items, settings, round_number, strategy)
    ]


def _prompt(item: Item, image: Image, opener: str) -> Prompt:
    path = image_path(image.sha256, image.media_type)
    return Prompt(image=path, question=item.question, answer=item.answer, opener=opener)


def _text_of(made: Sampled | Failed) -> str:
    return made.text if isinstance(made, Sampled) else ""


def _as_drawn(place: Place, text: Sampled) -> Drawn:
    return Drawn(
        item_id=place.item_id,
        prompt=place.opener,
        temperature=place.temperature,
        number=place.number,
        seed=place.seed,
        text=text.text,
        log_probability=text.log_probability,
        n_tokens=text.n_tokens,
        is_cut=text.is_cut,
        trace=dict(text.trace) if text.trace else None,
    )


# --- Answers ----------------------------------------------------------------------------------


def _ask(  # noqa: PLR0917 - each of them differs between the two questions, or is what they share
    draw: Sampler,
    kind: str,
    asked: Sequence[Asked],
    answers: Mapping[int, str],
    max_new_tokens: int,
    settings: LoopSettings,
) -> tuple[dict[int, str], list[Failure]]:
    """Returns one text per item, and the items that failed. An item with one of the `answers` is
    asked for its rationale, another one for its answer."""
    draws = [
        Draw(
            prompt=Prompt(
                image=one.picture,
                question=one.item.question,
                answer=answers.get(one.item.id),
                opener=settings.sampling.openers[0],
            ),
            temperature=settings.evaluation.temperature,
            seed=derive_seed(settings.seed, kind, one.item.external_id),
        )
        for one in asked
    ]
    config = SampleConfig(max_new_tokens=max_new_tokens, top_k_share=settings.sampling.top_k_share)
    made = draw(draws, config) if draws else []
    pairs = [(one.item.id, text) for one, text in zip(asked, made, strict=True)]
    texts = {item_id: text.text for item_id, text in pairs if isinstance(text, Sampled)}
    return texts, collect_failures(pairs)
