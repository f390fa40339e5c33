"""Reads what people said of the looks of some items, for trainings: draws that look so again are
rewarded for it, or the model is led to where they drew that it should have looked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import DrawnBox, Sample, TrainingRow, TurnMark
from app.opinions import Box
from app.queries.blocks import blocks
from app.queries.counted import counted_judgements
from app.same_text import text_key
from app.strategies.monologue import OBSERVATION_MARK, QUESTION_MARK, MonologueTrace, Turn

Look = tuple[int, str, str]
"""An item, the key of what was asked, and that of what was observed; "" where that does not matter.
"""


@dataclass(frozen=True)
class KnownMarks:
    """What people said of looks, by item and words: the mean of yes (1) and no (-1)."""

    questions: Mapping[Look, float] = field(default_factory=dict)
    observations: Mapping[Look, float] = field(default_factory=dict)

    def of(self, item_id: int, turn: Turn) -> tuple[float | None, float | None]:
        """Returns how useful people found a question about an item, and how true what was seen;
        None where nobody said so."""
        asked, observed = text_key(turn.asked), text_key(turn.observed)
        return (
            self.questions.get((item_id, asked, "")),
            self.observations.get((item_id, asked, observed)),
        )

    def __len__(self) -> int:
        return len(self.questions) + len(self.observations)


def find_marks(session: Session, run_id: int) -> KnownMarks:
    """Returns what people marked, in judgements that count, of the looks of the items in the
    manifest of a run. Who could not tell is left out."""
    n_yes = func.count().filter(TurnMark.value == "yes")
    rows = session.execute(
        select(Sample.item_id, Sample.trace, TurnMark.turn, TurnMark.of, n_yes, func.count())
        .join(Sample, Sample.id == TurnMark.sample_id)
        .join(counted_judgements, counted_judgements.id == TurnMark.judgement_id)
        .where(
            Sample.item_id.in_(select(TrainingRow.item_id).where(TrainingRow.run_id == run_id)),
            counted_judgements.user_kind == UserKind.PERSON,
            TurnMark.value.in_(("yes", "no")),
        )
        .group_by(Sample.id, TurnMark.turn, TurnMark.of)
        .order_by(Sample.id, TurnMark.turn, TurnMark.of)
    )
    counts: dict[str, dict[Look, list[int]]] = {
        QUESTION_MARK: defaultdict(lambda: [0, 0]),
        OBSERVATION_MARK: defaultdict(lambda: [0, 0]),
    }
    for item_id, trace, number, of, yes, n_said in rows:
        turn = MonologueTrace.model_validate(trace).turns[number - 1]
        observed = text_key(turn.observed) if of == OBSERVATION_MARK else ""
        count = counts[of][item_id, text_key(turn.asked), observed]
        count[0] += yes
        count[1] += n_said
    questions, observations = (
        {look: 2 * yes / n_said - 1 for look, (yes, n_said) in counts[of].items()}
        for of in (QUESTION_MARK, OBSERVATION_MARK)
    )
    return KnownMarks(questions, observations)


def find_boxes(session: Session, item_ids: Sequence[int]) -> Mapping[int, tuple[Box, ...]]:
    """Returns the boxes that people drew in judgements that count, by item, each once, in a fixed
    order; items without any are left out."""
    found: dict[int, dict[Box, None]] = {}
    for block in blocks(sorted(set(item_ids))):
        rows = session.execute(
            select(Sample.item_id, DrawnBox)
            .join(Sample, Sample.id == DrawnBox.sample_id)
            .join(counted_judgements, counted_judgements.id == DrawnBox.judgement_id)
            .where(Sample.item_id.in_(block))
            .order_by(Sample.item_id, DrawnBox.judgement_id, DrawnBox.sample_id, DrawnBox.turn)
        )
        for item_id, box in rows:
            edges = Box(left=box.left, top=box.top, right=box.right, bottom=box.bottom)
            found.setdefault(item_id, {})[edges] = None
    return {item_id: tuple(boxes) for item_id, boxes in found.items()}
