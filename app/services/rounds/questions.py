"""Questions that a model asks about images: stored, decided on by a critic, and made items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.kit.texts import collapse
from app.lifecycle import QuestionState, Split
from app.models import AskedQuestion, Round, Run
from app.queries.rounds import questions as queries
from app.round_settings import KNOWS_SCENES
from app.scenes.grounding import answer_about
from app.scenes.scene import Scene
from app.services.judging.questions.items import keep_as_item
from app.services.rounds.critic_judging import critic_user
from app.strategies.same_question import stored_key


@dataclass(frozen=True)
class ProposedQuestion:
    """A question about an image, as a worker hands it over."""

    text: str
    n_draws: int
    seed: int
    log_probability: float | None
    answer: str | None = None
    """The model's own, from the picture alone."""


@dataclass(frozen=True)
class Inquiry:
    """What a worker asked about an image; the counts are those of AskedImage."""

    image_sha256: str
    description: str
    questions: Sequence[ProposedQuestion]
    n_drawn: int = 0
    n_known: int = 0
    n_empty: int = 0
    n_over: int = 0


def store_inquiries(
    session: Session,
    *,
    run: Run,
    shard_id: int,
    attempt: int,
    inquiries: Sequence[Inquiry],
    adapter_id: int | None,
    temperature: float,
) -> None:
    """Keep what was asked about the images of a shard; its own transaction finishes the shard."""
    for one in inquiries:
        asked_image_id = queries.insert_image(
            session,
            {
                "project_id": run.project_id,
                "image_sha256": one.image_sha256,
                "split": Split.TRAIN,
                "round_id": run.round_id,
                "run_id": run.id,
                "shard_id": shard_id,
                "shard_attempt": attempt,
                "adapter_id": adapter_id,
                "description": one.description,
                "n_drawn": one.n_drawn,
                "n_known": one.n_known,
                "n_empty": one.n_empty,
                "n_over": one.n_over,
            },
        )
        queries.insert_questions(
            session,
            [
                {
                    "asked_image_id": asked_image_id,
                    "project_id": run.project_id,
                    "image_sha256": one.image_sha256,
                    "text": question.text,
                    "text_key": stored_key(question.text),
                    "n_draws": question.n_draws,
                    "seed": question.seed,
                    "temperature": temperature,
                    "log_probability": question.log_probability,
                    "answer": collapse(question.answer or "") or None,
                }
                for question in one.questions
            ],
        )


def decide_by_critic(session: Session, round_: Round, critic: str) -> None:
    """Let the exact critic decide on the questions of a round: one that has an answer in its scene
    is kept and becomes an item with that answer, others are dropped. Other critics cannot say, and
    images without facts are left as they are."""
    proposed = queries.list_proposed(session, round_.id) if critic == KNOWS_SCENES else ()
    scenes = _find_scenes(session, round_, proposed)
    splits = queries.list_splits(session, {question.asked_image_id for question in proposed})
    decided = [
        _decide(session, question, *found, splits, user_id)
        for question in proposed
        if (found := scenes.get(question.image_sha256))
        for user_id in [critic_user(session, critic).id]
    ]
    queries.decide_questions(session, decided)


def measure_grounding(session: Session, round_: Round) -> None:
    """Say of the questions of a round whether they have an answer in their scene, and in another
    one, where that was not said yet and there are facts. Nothing is decided by it."""
    questions = queries.list_unmeasured(session, round_.id)
    scenes = _find_scenes(session, round_, questions)
    queries.decide_questions(
        session,
        [
            {"id": question.id, **_measure(question, *found)[1]}
            for question in questions
            if (found := scenes.get(question.image_sha256))
        ],
    )


def _find_scenes(
    session: Session, round_: Round, questions: Sequence[AskedQuestion]
) -> dict[str, tuple[Scene, Scene]]:
    """Returns the scene of each image whose facts are one, and the one it is held against."""
    images = sorted({question.image_sha256 for question in questions})
    facts = queries.list_facts(session, round_.project_id, images)
    found = {image: _as_scene(facts[image]) for image in images if image in facts}
    scenes = {image: scene for image, scene in found.items() if scene is not None}
    known = list(scenes)
    return {image: (scenes[image], scenes[known[n - 1]]) for n, image in enumerate(known)}


def _as_scene(facts: dict[str, Any]) -> Scene | None:
    """The scene that facts describe; None where they tell something else, such as a caption."""
    try:
        return Scene.from_dict(facts)
    except ValueError:
        return None


def _measure(
    question: AskedQuestion, scene: Scene, other: Scene
) -> tuple[str | None, dict[str, Any]]:
    """Returns the answer in the scene, where there is one, and what is noted of it."""
    kind, answer = answer_about(question.text, scene)
    return answer, {
        "kind": kind,
        "is_grounded": answer is not None,
        "is_grounded_elsewhere": answer_about(question.text, other)[1] is not None,
    }


def _decide(  # noqa: PLR0917 - all that is said of a question
    session: Session,
    question: AskedQuestion,
    scene: Scene,
    other: Scene,
    splits: dict[int, Split],
    user_id: int,
) -> dict[str, Any]:
    answer, measured = _measure(question, scene, other)
    item_id = None
    if answer is not None:
        item_id = keep_as_item(
            session,
            question,
            split=splits[question.asked_image_id],
            wording=question.text,
            answer=answer,
            facts=scene.to_dict(),
        )
    is_kept = item_id is not None
    return {
        "id": question.id,
        "state": QuestionState.KEPT if is_kept else QuestionState.DROPPED,
        "decided_by_id": user_id,
        "kept_answer": answer if is_kept else None,
        "item_id": item_id,
        **measured,
    }
