"""Items as trainings and evaluations read them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from app.lifecycle import QuestionState
from app.models import (
    AskedQuestion,
    Candidate,
    Image,
    Item,
    PriorEpisode,
    Round,
    Run,
    Sample,
    TrainingRow,
    WrittenRationale,
)
from app.queries.blocks import blocks
from app.strategies.monologue import MONOLOGUE, MonologueTrace, Outcome, Turn
from app.unwanted_looks import Look, look_of


@dataclass(frozen=True)
class ManifestRow:
    """A row of a training: an item, and what is said of it.

    answer: the item's, or that of an episode of the prior. turns: the looks that led to it, none
    where it did not come of a monologue. answer_tokens, rationale_tokens: as they were sampled
    after these looks; None where nobody sampled them.
    """

    item: Item
    image: Image
    answer: str
    rationale: str | None
    weight: float
    is_written: bool = False
    """Whether a person wrote the rationale on the judging page."""
    is_of_prior: bool = False
    turns: tuple[Turn, ...] = ()
    answer_tokens: tuple[int, ...] | None = None
    rationale_tokens: tuple[int, ...] | None = None


def list_items(session: Session, item_ids: Sequence[int]) -> list[tuple[Item, Image]]:
    """Returns items with their images, in the order of the ids."""
    rows = session.execute(
        select(Item, Image)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(Item.id.in_(item_ids))
    )
    by_id = {item.id: (item, image) for item, image in rows}
    return [by_id[item_id] for item_id in item_ids if item_id in by_id]


def list_manifest(session: Session, run_id: int) -> list[ManifestRow]:
    """Returns what a training run reads, in a fixed order."""
    rows = session.execute(
        select(TrainingRow, Item, Image, Candidate.text, WrittenRationale.text, PriorEpisode)
        .join(Item, Item.id == TrainingRow.item_id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .outerjoin(Candidate, Candidate.id == TrainingRow.candidate_id)
        .outerjoin(PriorEpisode, PriorEpisode.id == TrainingRow.prior_episode_id)
        .outerjoin(
            WrittenRationale,
            (WrittenRationale.judgement_id == TrainingRow.written_judgement_id)
            & (WrittenRationale.candidate_id == TrainingRow.written_candidate_id),
        )
        # What an erased person wrote is read no more; its row stays as the record of what was.
        .where(TrainingRow.run_id == run_id, WrittenRationale.erased_at.is_(None))
        .order_by(TrainingRow.id)
    ).all()
    traces = _find_best_traces(session, run_id)
    found: list[ManifestRow] = []
    for row, item, image, text, written, episode in rows:
        if row.prior_episode_id is not None:
            found.append(_of_episode(row, item, image, episode))
            continue
        trace = traces.get(row.candidate_id)
        found.append(
            ManifestRow(
                item=item,
                image=image,
                answer=item.answer,
                rationale=text or written,
                weight=row.weight,
                is_written=row.written_judgement_id is not None,
                turns=trace.turns if trace else (),
                answer_tokens=trace.answer_tokens if trace else None,
                rationale_tokens=trace.rationale_tokens if trace else None,
            )
        )
    return found


def _of_episode(row: TrainingRow, item: Item, image: Image, episode: PriorEpisode) -> ManifestRow:
    return ManifestRow(
        item=item,
        image=image,
        answer=episode.answer,
        rationale=episode.rationale,
        weight=row.weight,
        is_of_prior=True,
        turns=tuple(Turn.model_validate(turn) for turn in episode.turns),
    )


def list_manifest_looks(session: Session, run_id: int, item_ids: Collection[int]) -> set[Look]:
    """Returns the looks that a training run reads of some items: those of the draws that its
    candidates came from, and of its imported episodes."""
    is_meant = (TrainingRow.run_id == run_id) & TrainingRow.item_id.in_(item_ids)
    candidates = session.execute(
        select(TrainingRow.item_id, TrainingRow.candidate_id).where(is_meant)
    )
    traces = _find_best_traces(session, run_id, is_meant)
    looks = [(item_id, traces[id_].turns) for item_id, id_ in candidates if id_ in traces]
    episodes = session.execute(
        select(TrainingRow.item_id, PriorEpisode.turns)
        .join(PriorEpisode, PriorEpisode.id == TrainingRow.prior_episode_id)
        .where(is_meant)
    )
    looks += [
        (item_id, tuple(Turn.model_validate(turn) for turn in turns)) for item_id, turns in episodes
    ]
    return {look_of(item_id, one.asked, one.observed) for item_id, turns in looks for one in turns}


def _find_best_traces(
    session: Session, run_id: int, *conditions: ColumnElement[bool]
) -> dict[int | None, MonologueTrace]:
    """Returns, by candidate, the monologue of its most probable draw; candidates that none led to
    are left out. Of a draw of another base than that of the run it has no tokens: they are numbers
    of one model's vocabulary. conditions: on the rows of the manifest."""
    learning, sampling, own, drawing = aliased(Run), aliased(Run), aliased(Round), aliased(Round)
    is_same_base = func.coalesce(own.settings["base_model"].astext, "") == func.coalesce(
        drawing.settings["base_model"].astext, ""
    )
    rows = session.execute(
        select(Sample.candidate_id, Sample.trace, is_same_base)
        .join(TrainingRow, TrainingRow.candidate_id == Sample.candidate_id)
        .join(sampling, sampling.id == Sample.run_id)
        .outerjoin(drawing, drawing.id == sampling.round_id)
        .join(learning, learning.id == TrainingRow.run_id)
        .outerjoin(own, own.id == learning.round_id)
        .where(
            TrainingRow.run_id == run_id,
            *conditions,
            Sample.strategy == MONOLOGUE.name,
            Sample.trace["outcome"].astext == Outcome.EXPLAINED.value,
        )
        .ext(distinct_on(Sample.candidate_id))
        .order_by(Sample.candidate_id, Sample.log_probability.desc().nulls_last(), Sample.id)
    )
    found: dict[int | None, MonologueTrace] = {}
    for candidate_id, stored, has_its_tokens in rows:
        trace = MonologueTrace.model_validate(stored)
        found[candidate_id] = trace if has_its_tokens else trace.without_tokens()
    return found


def list_dropped_questions(
    session: Session, project_id: int, images: Collection[str]
) -> dict[str, list[str]]:
    """Returns the questions about some images that models of a project asked and that were dropped,
    by image, in the order in which they were asked."""
    found: dict[str, list[str]] = defaultdict(list)
    for block in blocks(sorted(images)):
        rows = session.execute(
            select(AskedQuestion.image_sha256, AskedQuestion.text)
            .where(
                AskedQuestion.project_id == project_id,
                AskedQuestion.image_sha256.in_(block),
                AskedQuestion.state == QuestionState.DROPPED,
            )
            .order_by(AskedQuestion.id)
        )
        for image, text in rows:
            found[image].append(text)
    return found
