"""Reads what people said of the looks of some items, for trainings: draws that look so again are
rewarded for it, questions may be useless and observations untrue, or the model is led to where they
drew that it should have looked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    cast,
    false,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.lifecycle import UserKind
from app.models import (
    CorrectedObservation,
    DrawnBox,
    Item,
    Sample,
    TrainingBox,
    TrainingRow,
    TurnMark,
    UntaughtLook,
)
from app.opinions import Box
from app.queries.counted import counted_judgements
from app.queries.rounds.item_ranges import ItemRange, is_in_range
from app.same_text import text_key
from app.strategies.monologue import (
    MONOLOGUE,
    OBSERVATION_MARK,
    QUESTION_MARK,
    MonologueTrace,
    Turn,
)
from app.unwanted_looks import Look, SaidOfLook, UnwantedLook, look_of

EDGES = ("left", "top", "right", "bottom")
"""The columns of a box."""


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


# --- Looks that people found useless or untrue ---------------------------------------------------


def list_said_of_looks(
    session: Session, run_id: int, range_: ItemRange, of: str
) -> list[SaidOfLook]:
    """Returns what people said, in judgements that count, of what was asked or observed (`of`, as
    marks name it) about those items of a range in the manifest of a run of which somebody calls a
    question useless, or an observation untrue. Who could not tell is left out."""
    is_yes = TurnMark.value == "yes"
    marked = select(
        TurnMark.judgement_id,
        TurnMark.sample_id,
        TurnMark.turn,
        is_yes.label("is_wanted"),
        literal("").label("correction"),
    ).where(TurnMark.of == of, TurnMark.value.in_(("yes", "no")))
    corrected = select(
        CorrectedObservation.judgement_id,
        CorrectedObservation.sample_id,
        CorrectedObservation.turn,
        false(),
        CorrectedObservation.text,
    ).where(literal(of) == OBSERVATION_MARK)
    said = union_all(marked, corrected).subquery()
    asked, observed = _words(said.c.turn)
    read = (
        select(
            counted_judgements.user_id,
            said.c.judgement_id,
            said.c.sample_id,
            said.c.turn,
            Sample.item_id,
            asked,
            observed if of == OBSERVATION_MARK else literal("").label("observed"),
            said.c.is_wanted,
            said.c.correction,
            func.bool_and(said.c.is_wanted).over(partition_by=Sample.item_id).label("is_sure"),
        )
        .join(Sample, Sample.id == said.c.sample_id)
        .join(counted_judgements, counted_judgements.id == said.c.judgement_id)
        .where(
            Sample.item_id.in_(select(TrainingRow.item_id).where(TrainingRow.run_id == run_id)),
            is_in_range(Sample.item_id, range_),
            Sample.strategy == MONOLOGUE.name,
            counted_judgements.user_kind == UserKind.PERSON,
        )
        .subquery()
    )
    rows = session.execute(select(read).where(~read.c.is_sure))
    return [SaidOfLook(*row[:-1]) for row in rows]


def insert_untaught(session: Session, run_id: int, looks: Sequence[UnwantedLook]) -> None:
    """Add to the manifest of a training which questions or observations it does not learn, each
    with the correction that it learns instead, if it has one."""
    rows = [
        {
            "run_id": run_id,
            "item_id": said.item_id,
            "sample_id": said.sample_id,
            "turn": said.turn,
            "judgement_id": look.corrected.judgement_id if look.corrected else None,
        }
        for look in looks
        for said in [look.corrected or look.said]
    ]
    if rows:
        session.execute(insert(UntaughtLook), rows)


def list_untaught(session: Session, run_id: int) -> dict[Look, str | None]:
    """Returns the looks of which a training does not learn its role's words, by its manifest, each
    with what it learns instead; None where that is nothing, or an erased person's correction."""
    rows = session.execute(
        select(UntaughtLook, *_words(UntaughtLook.turn), CorrectedObservation.text)
        .join(Sample, Sample.id == UntaughtLook.sample_id)
        .outerjoin(
            CorrectedObservation,
            (CorrectedObservation.judgement_id == UntaughtLook.judgement_id)
            & (CorrectedObservation.sample_id == UntaughtLook.sample_id)
            & (CorrectedObservation.turn == UntaughtLook.turn),
        )
        .where(UntaughtLook.run_id == run_id)
    )
    return {
        look_of(row.item_id, asked, observed): corrected or None
        for row, asked, observed, corrected in rows
    }


def _words(
    turn: ColumnElement[int] | InstrumentedAttribute[int],
) -> tuple[ColumnElement[str], ColumnElement[str]]:
    """Returns the columns that hold the question and the observation of a turn of a draw."""
    place = cast(turn - 1, String)
    return (
        func.jsonb_extract_path_text(Sample.trace, "turns", place, "asked").label("asked"),
        func.jsonb_extract_path_text(Sample.trace, "turns", place, "observed").label("observed"),
    )


# --- Boxes that people drew ---------------------------------------------------------------------


def list_boxed_items(session: Session, project_id: int) -> frozenset[int]:
    """Returns the items of a project about which people drew boxes in judgements that count."""
    statement = _boxes(Item.project_id == project_id).with_only_columns(Sample.item_id)
    return frozenset(session.scalars(statement.distinct()))


def insert_boxes(session: Session, run_id: int) -> int:
    """Add to the manifest of a training what people drew, in judgements that count, about the items
    that it has; returns how many boxes that are, each of an item counted once."""
    in_manifest = select(TrainingRow.item_id).where(TrainingRow.run_id == run_id)
    found = (
        _boxes(Sample.item_id.in_(in_manifest))
        .with_only_columns(literal(run_id), Sample.item_id, *(getattr(DrawnBox, e) for e in EDGES))
        .distinct()
    )
    added = insert(TrainingBox).from_select(["run_id", "item_id", *EDGES], found)
    return len(session.execute(added.returning(TrainingBox.item_id)).all())


def list_boxes(session: Session, run_id: int) -> Mapping[int, tuple[Box, ...]]:
    """Returns the boxes in the manifest of a training by item, in a fixed order."""
    found: dict[int, list[Box]] = defaultdict(list)
    for row in session.scalars(
        select(TrainingBox)
        .where(TrainingBox.run_id == run_id)
        .order_by(*TrainingBox.__table__.primary_key)
    ):
        found[row.item_id].append(Box(**{edge: getattr(row, edge) for edge in EDGES}))
    return {item_id: tuple(boxes) for item_id, boxes in found.items()}


def _boxes(condition: ColumnElement[bool]) -> Select[DrawnBox]:
    return (
        select(DrawnBox)
        .join(Sample, Sample.id == DrawnBox.sample_id)
        .join(Item, Item.id == Sample.item_id)
        .join(counted_judgements, counted_judgements.id == DrawnBox.judgement_id)
        .where(condition)
    )
