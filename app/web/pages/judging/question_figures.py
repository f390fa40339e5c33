"""The part of a round's page about the questions that the model asked in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import EvidenceKind
from app.models import Project, Round
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.questions import count_decided_since, has_asked
from app.run_results import KindTally, QuestionTally, RoundFigures

PRESUME_NOTHING = frozenset({"count", "existence", "compare counts"})
"""Kinds of questions that have an answer in every scene: those of `OPEN` (app/scenes/grounding.py),
which this process does not load."""

KIND_LABELS: Mapping[str, str] = {
    "attribute by place": Sentence("attribute of the thing at a place"),
    "attribute by name": Sentence("attribute of a thing that is named"),
    "same attribute": Sentence("whether two things share an attribute"),
    "relation": Sentence("how two things lie to each other"),
    "neighbour": Sentence("what lies beside a thing"),
    "count": Sentence("how many"),
    "existence": Sentence("whether there is one"),
    "compare counts": Sentence("of which there are more"),
}


@dataclass(frozen=True)
class AskedKind:
    """How many questions of a kind have an answer in their image, and how many in another one."""

    kind: str
    tally: KindTally

    @property
    def label(self) -> str:
        return KIND_LABELS.get(self.kind, self.kind)

    @property
    def presumes_nothing(self) -> bool:
        return self.kind in PRESUME_NOTHING


@dataclass(frozen=True)
class AskedPart:
    """What a round asked, and what became of it."""

    tally: QuestionTally | None
    """None where nothing is counted yet."""
    at: datetime | None
    """When it was counted; None also of what a round before that was stored kept at its end."""
    n_since: int
    """Images on which people have decided since, at most `MOST_DECIDED`."""
    is_being_counted: bool
    kinds: Sequence[AskedKind]
    """Those that presume something first."""
    url: str
    """Where people decide; empty where nothing waits, or a critic decides."""
    decided_by: str

    @property
    def n_together(self) -> KindTally:
        """Returns the questions that presume something, of all kinds together."""
        counted = [one.tally for one in self.kinds if not one.presumes_nothing]
        return KindTally(
            asked=sum(one.asked for one in counted),
            grounded=sum(one.grounded for one in counted),
            elsewhere=sum(one.elsewhere for one in counted),
        )


def asked_part(
    session: Session,
    project: Project,
    round_: Round,
    *,
    is_by_critic: bool,
    is_being_counted: bool,
) -> AskedPart | None:
    """Returns what is stored of the questions of a round; None where it asked nothing.

    is_by_critic: whether a critic judges the round and has not decided yet.
    """
    if not has_asked(session, round_.id):
        return None
    key = (round_.id, EvidenceKind.QUESTIONS)
    stored = list_evidence(session, [round_.id], [EvidenceKind.QUESTIONS]).get(key)
    tally = QuestionTally.read(stored.figures) if stored else _at_the_end(round_)
    kinds = [AskedKind(kind, one) for kind, one in tally.kinds.items()] if tally else []
    waits = (tally is None or tally.n_waiting > 0) and project.archived_at is None
    return AskedPart(
        tally=tally,
        at=stored.at if stored else None,
        n_since=count_decided_since(session, round_.id, stored.at) if stored else 0,
        is_being_counted=is_being_counted,
        kinds=sorted(kinds, key=lambda one: (one.presumes_nothing, one.kind)),
        url=f"/projects/{project.slug}/questions" if waits and not is_by_critic else "",
        decided_by=_decided_by(tally) if tally else "",
    )


def _at_the_end(round_: Round) -> QuestionTally | None:
    figures = RoundFigures.find(round_.figures)
    return figures.questions if figures else None


def _decided_by(tally: QuestionTally) -> str:
    n_decided = tally.n_kept + tally.n_dropped
    if not n_decided:
        return Sentence("Nobody has decided on them yet.")
    if not tally.n_by_people:
        return Sentence("Decided by a critic.")
    if tally.n_by_people == n_decided:
        return Sentence("Decided by people.")
    return Sentence(
        "%(n)s of the %(all)s decisions are those of people, the others of a critic.",
        n=tally.n_by_people,
        all=n_decided,
    )
