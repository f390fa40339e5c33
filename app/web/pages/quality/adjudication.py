"""The pages of adjudication: one disputed item with what people said of it, and what is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND
from app.models import Image, Project, Round, User
from app.queries.admission import adjudications as queries
from app.queries.admission.adjudications import DecidedItem, DisputeCounts, Said
from app.round_settings import LoopSettings
from app.services.admission.adjudication import Dispute, find_dispute, find_next
from app.services.judging.keys import Key, keys_of
from app.web.assets.image_urls import image_url, srcset
from app.web.pages.judging.words import FAULT_LABELS

DECIDED_PER_PAGE = 25

_ACTIONS = {
    "submit": Sentence("Keep the decision, and bring the next item"),
    "take-back": Sentence("Take back your last decision"),
    "zoom": Sentence("Zoom the image; drag to move it"),
    "keys": Sentence("Show or hide this table"),
}
"""Keys of the judging page that mean something here as well."""


@dataclass(frozen=True)
class Progress:
    """How far the adjudication of a round is."""

    round: Round
    counts: DisputeCounts
    is_open: bool
    """Whether anything can still be decided."""
    policy_waits: bool
    """Whether the round waits for it before it closes by itself."""

    @property
    def n_left(self) -> int:
        return self.counts.n_items - self.counts.n_decided


@dataclass(frozen=True)
class Opinion:
    """What one person said of a candidate, by their letter."""

    letter: str
    fits: bool | None
    """None where they called the answer itself wrong."""


@dataclass(frozen=True)
class DisputedCandidate:
    """A candidate with what everybody said of it, and what is decided."""

    candidate_id: int
    place: int
    """Among those to be decided, from 1; 0 for one on which all agree."""
    text: str
    opinions: Sequence[Opinion]
    faults: Sequence[tuple[str, str]]
    """Letters, and what is wrong with it as they say."""
    fits: bool | None
    """As decided, or as just chosen; None where nothing is."""

    @property
    def n_fits(self) -> int:
        return sum(bool(one.fits) for one in self.opinions)


@dataclass(frozen=True)
class ItemPage:
    """One disputed item."""

    project: Project
    progress: Progress
    item_id: int
    version: str
    question: str
    answer: str
    image_url: str
    image_srcset: str
    image_width: int
    image_height: int
    letters: Sequence[str]
    calling_it_wrong: Sequence[str]
    """Letters of those who say that the answer itself is wrong."""
    disputed: Sequence[DisputedCandidate]
    agreed: Sequence[DisputedCandidate]
    is_decided: bool
    last_item_id: int | None
    """The item that this adjudicator decided last."""
    keys: Sequence[Key]
    hints: Mapping[str, str]
    error: str = ""


@dataclass(frozen=True)
class NothingPage:
    """Nothing is left for this adjudicator, and why."""

    project: Project
    progress: Progress
    last_item_id: int | None


@dataclass(frozen=True)
class DecidedPage:
    """Items of a round that were decided, newest first."""

    project: Project
    progress: Progress
    items: Sequence[DecidedItem]
    first_url: str
    next_url: str


def find_progress(session: Session, round_: Round, user: User | None = None) -> Progress:
    """Returns how far the adjudication of a round is, for one of its adjudicators or for nobody."""
    settings = LoopSettings.model_validate(round_.settings)
    return Progress(
        round=round_,
        counts=queries.count_disputes(session, round_.id, user.id if user else None),
        is_open=round_.status in JUDGEABLE_ROUND,
        policy_waits=settings.admission.waits_for_adjudicators,
    )


def next_page(
    session: Session, project: Project, round_: Round, user: User
) -> ItemPage | NothingPage:
    """Returns the next item that somebody can decide, or why there is none."""
    item_id = find_next(session, round_, user) if round_.status in JUDGEABLE_ROUND else None
    if item_id is None:
        progress = find_progress(session, round_, user)
        last = queries.find_last_decided(session, round_.id, user.id)
        return NothingPage(project, progress, last if progress.is_open else None)
    return item_page(session, project, round_, user, item_id)


def item_page(
    session: Session,
    project: Project,
    round_: Round,
    user: User,
    item_id: int,
    *,
    chosen: Mapping[int, bool] | None = None,
    error: str = "",
) -> ItemPage:
    """Returns one item with what people said of it. chosen: in place of what is stored, where that
    was refused. Raises as `find_dispute` does."""
    dispute = find_dispute(session, round_, item_id, user)
    image = session.get_one(Image, dispute.item.image_sha256)
    letters = [_letter(number) for number in range(len(dispute.said))]
    said = list(zip(letters, dispute.said, strict=True))
    fits = {one: decision.fits for one, decision in dispute.decisions.items()} | dict(chosen or {})
    candidates = _candidates(dispute, said, fits)
    keys = _keys(user, n_disputed=sum(one.place > 0 for one in candidates))
    progress = find_progress(session, round_)
    return ItemPage(
        project=project,
        progress=progress,
        item_id=item_id,
        version=dispute.version,
        question=dispute.item.question,
        answer=dispute.item.answer,
        image_url=image_url(project.slug, image.sha256),
        image_srcset=srcset(project.slug, image.sha256, image.width),
        image_width=image.width,
        image_height=image.height,
        letters=letters,
        calling_it_wrong=[letter for letter, one in said if one.answer_is_wrong],
        disputed=[one for one in candidates if one.place],
        agreed=[one for one in candidates if not one.place],
        is_decided=bool(dispute.decisions),
        last_item_id=(
            queries.find_last_decided(session, round_.id, user.id) if progress.is_open else None
        ),
        keys=keys,
        hints={key.action: key.shown for key in keys},
        error=error,
    )


def _candidates(
    dispute: Dispute, said: Sequence[tuple[str, Said]], fits: Mapping[int, bool]
) -> list[DisputedCandidate]:
    """Those to be decided first, numbered in their order."""
    asked = dispute.open_to_decision
    found: list[DisputedCandidate] = []
    for candidate in sorted(dispute.candidates, key=lambda one: (one.id not in asked, one.id)):
        opinions = [
            Opinion(letter, None if one.answer_is_wrong else candidate.id in one.picked)
            for letter, one in said
        ]
        found.append(
            DisputedCandidate(
                candidate_id=candidate.id,
                place=len(found) + 1 if candidate.id in asked else 0,
                text=candidate.text,
                opinions=opinions,
                faults=_faults(candidate.id, said),
                fits=fits.get(candidate.id),
            )
        )
    return found


def _faults(candidate_id: int, said: Sequence[tuple[str, Said]]) -> list[tuple[str, str]]:
    by_fault: dict[str, list[str]] = {}
    for letter, one in said:
        for fault in one.faults.get(str(candidate_id), ()):
            by_fault.setdefault(fault, []).append(letter)
    return [
        (", ".join(letters), label)
        for fault, label in FAULT_LABELS.items()
        if (letters := by_fault.get(fault))
    ]


def _letter(number: int) -> str:
    """Returns A, B … Z; so many people never judge one item."""
    return chr(ord("A") + number)


def _keys(user: User, *, n_disputed: int) -> list[Key]:
    """Returns the keys of the page as this person has them on the judging page."""
    own = {key.action: key for key in keys_of(user)}
    picks = [own[f"pick-{place}"] for place in range(1, n_disputed + 1) if f"pick-{place}" in own]
    return [
        *picks,
        *(Key(action, own[action].key, label) for action, label in _ACTIONS.items()),
    ]


def decided_page(
    session: Session,
    project: Project,
    round_: Round,
    *,
    before: tuple[datetime, int] | None,
) -> DecidedPage:
    """Returns what adjudicators decided in a round: those decided before this time, and at it with
    a lower id."""
    found = queries.list_decided(session, round_.id, before=before, limit=DECIDED_PER_PAGE + 1)
    items = found[:DECIDED_PER_PAGE]
    base = f"/rounds/{round_.id}/adjudication/decided"
    next_url = ""
    if len(found) > DECIDED_PER_PAGE:
        last = items[-1]
        place = {"before": last.decided_at.isoformat(), "item": last.item.id}
        next_url = f"{base}?{urlencode(place)}"
    return DecidedPage(
        project=project,
        progress=find_progress(session, round_),
        items=items,
        first_url=base if before else "",
        next_url=next_url,
    )
