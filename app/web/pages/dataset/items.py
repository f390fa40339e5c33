"""The pages of items: the list, and one item with all that is known of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.events.dataset import ItemCorrected, ItemReplaced
from app.kit.sentences import Sentence
from app.lifecycle import FailureKind, JudgementStatus, RoundItemState, Split, UserKind
from app.models import Candidate, Image, Item, Project
from app.opinions import remarks_of
from app.queries.dataset import items as queries
from app.queries.dataset.items import ItemFilter, ItemRow
from app.queries.history import HistoryLine, list_item_events
from app.queries.releases.asked import AskedSource, list_asked
from app.queries.runs.failures import find_failure
from app.same_text import is_cut
from app.services.judging.opinions import opinion_of
from app.services.judging.skip_reasons import shown_reason
from app.web.language.labels import policy_words, word
from app.web.pages.quality.item_map import TrailStep, trail_steps

FILTER_LABELS: dict[ItemFilter, str] = {
    ItemFilter.ALL: Sentence("all items"),
    ItemFilter.COVERED: Sentence("with an admitted rationale"),
    ItemFilter.UNCOVERED: Sentence("train items without one"),
    ItemFilter.SET_ASIDE: Sentence("set aside: answer or image in doubt"),
    ItemFilter.EXCLUDED: Sentence("excluded"),
}


@dataclass(frozen=True)
class ItemQuery:
    split: Split | None
    only: ItemFilter
    text: str

    def url(self, project: Project, *, after: int = 0) -> str:
        values = {
            "split": self.split.value if self.split else "",
            "only": self.only.value if self.only is not ItemFilter.ALL else "",
            "q": self.text,
            "after": after or "",
        }
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/projects/{project.slug}/items" + (f"?{query}" if query else "")


@dataclass(frozen=True)
class ItemsPage:
    query: ItemQuery
    rows: Sequence[ItemRow]
    n_items: int
    is_first: bool
    first_url: str
    next_url: str
    filters: Sequence[tuple[str, str]]
    splits: Sequence[tuple[str, str]]


def items_page(session: Session, project: Project, query: ItemQuery, *, after: int) -> ItemsPage:
    rows = queries.list_items(
        session, project.id, split=query.split, only=query.only, text=query.text, after=after,
        limit=queries.PAGE_SIZE + 1,
    )  # fmt: skip
    has_more = len(rows) > queries.PAGE_SIZE
    rows = rows[: queries.PAGE_SIZE]
    return ItemsPage(
        query=query,
        rows=rows,
        n_items=queries.count_items(
            session, project.id, split=query.split, only=query.only, text=query.text
        ),
        is_first=after == 0,
        first_url=query.url(project),
        next_url=query.url(project, after=rows[-1].item.id) if has_more else "",
        filters=[(key.value, label) for key, label in FILTER_LABELS.items()],
        splits=[
            ("", Sentence("every split")),
            *((split.value, word(split)) for split in Split),
        ],
    )


# --- One item -------------------------------------------------------------------------------


@dataclass(frozen=True)
class InRound:
    """A candidate in a round: what was drawn, shown, voted and decided."""

    place: queries.CandidateInRound
    votes: Sequence[queries.Votes]
    samples: Sequence[queries.SampleRow]

    @property
    def policy(self) -> str:
        """Returns what admitted it, in words; nothing where it is not admitted."""
        admission = self.place.admission
        return policy_words(admission.policy) if admission else ""


@dataclass(frozen=True)
class CandidateLine:
    candidate: Candidate
    rounds: Sequence[InRound]
    is_admitted: bool
    is_cut: bool
    n_fits: int
    n_votes: int
    written: Sequence[queries.WrittenRow]


@dataclass(frozen=True)
class JudgementLine:
    """A judgement in words: its verdict, and what its author set beside it."""

    id: int
    user_name: str
    round_number: int
    verdict: str
    remarks: Sequence[str]
    comment: str


@dataclass(frozen=True)
class ItemEventLine:
    """One line of the item's history, with the other item of a correction that made a new one."""

    at: datetime
    actor_name: str | None
    text: str
    new_item_id: int | None
    old_item_id: int | None


@dataclass(frozen=True)
class ItemPage:
    project: Project
    item: Item
    image: Image
    candidates: Sequence[CandidateLine]
    judgements: Sequence[JudgementLine]
    places: Sequence[queries.PlaceInRound]
    trail: Sequence[TrailStep]
    predictions: Sequence[queries.PredictionRow]
    answers: Sequence[tuple[str, int]]
    """What several people answered and how many of them, the most frequent first."""
    asked: AskedSource | None
    """None where no model asked its question."""
    history: Sequence[ItemEventLine]
    is_set_aside: bool
    set_aside_reason: str
    image_fault: str
    prompt_fault: str
    """Why the item cannot be sampled, where it is set aside for that; one of them at most."""
    """Why it was set aside, where its image is at fault."""


def item_page(session: Session, project: Project, item: Item) -> ItemPage:
    places = queries.list_places(session, item.id)
    judgements = queries.list_judgements(session, item.id)
    failure = find_failure(session, item.id)
    return ItemPage(
        project=project,
        item=item,
        image=session.get_one(Image, item.image_sha256),
        candidates=_candidates(session, item),
        judgements=[_judgement_line(row) for row in judgements],
        places=places,
        trail=trail_steps(session, item),
        predictions=queries.list_predictions(session, item.id),
        answers=Counter(item.answers).most_common(),
        asked=next(iter(list_asked(session, [item.id])), None),
        history=[_event_line(line) for line in list_item_events(session, item)],
        is_set_aside=any(place.round_item.state is RoundItemState.SET_ASIDE for place in places),
        set_aside_reason=next(
            (reason for place in places if (reason := place.round_item.set_aside_reason)), ""
        ),
        image_fault=failure.reason if failure and failure.kind is FailureKind.IMAGE else "",
        prompt_fault=failure.reason if failure and failure.kind is FailureKind.PROMPT else "",
    )


def _candidates(session: Session, item: Item) -> list[CandidateLine]:
    """Best first: admitted, then by the share of people who call it fitting, then by draws."""
    votes = queries.list_votes(session, item.id)
    samples: dict[tuple[int | None, int | None], list[queries.SampleRow]] = {}
    for sample in queries.list_samples(session, item.id):
        samples.setdefault((sample.round_id, sample.sample.candidate_id), []).append(sample)
    places: dict[int, list[InRound]] = {}
    for place in queries.list_candidate_rounds(session, item.id):
        key = (place.round_id, place.candidate_id)
        places.setdefault(place.candidate_id, []).append(
            InRound(place, votes.get(key, []), samples.get(key, []))
        )
    written: dict[int, list[queries.WrittenRow]] = {}
    for row in queries.list_written_rationales(session, item.id):
        written.setdefault(row.written.candidate_id, []).append(row)
    lines = [
        _candidate_line(candidate, places.get(candidate.id, []), written.get(candidate.id, []))
        for candidate in queries.list_candidates(session, item.id)
    ]
    return sorted(lines, key=_rank)


def _candidate_line(
    candidate: Candidate, rounds: list[InRound], written: list[queries.WrittenRow]
) -> CandidateLine:
    votes = [vote for entry in rounds for vote in entry.votes if vote.judge_kind is UserKind.PERSON]
    return CandidateLine(
        candidate=candidate,
        rounds=rounds,
        is_admitted=any(entry.place.admission for entry in rounds),
        is_cut=is_cut(row.sample.is_cut for entry in rounds for row in entry.samples),
        n_fits=sum(vote.n_fits for vote in votes),
        n_votes=sum(vote.n_votes for vote in votes),
        written=written,
    )


def _rank(line: CandidateLine) -> tuple[bool, float, int, int]:
    n_draws = sum(entry.place.n_draws for entry in line.rounds)
    share = line.n_fits / line.n_votes if line.n_votes else 0.0
    return (not line.is_admitted, -share, -n_draws, line.candidate.id)


def _judgement_line(row: queries.JudgementRow) -> JudgementLine:
    opinion = opinion_of(row.judgement)
    return JudgementLine(
        id=row.judgement.id,
        user_name=row.user_name,
        round_number=row.round_number,
        verdict=describe_judgement(row),
        remarks=remarks_of(opinion),
        comment=opinion.comment,
    )


def describe_judgement(row: queries.JudgementRow) -> str:
    judgement = row.judgement
    if judgement.status is JudgementStatus.SKIPPED:
        reason = shown_reason(judgement.skip_reason)
        return Sentence("skipped: %(reason)s", reason=reason or Sentence("no reason given"))
    if judgement.answer_is_wrong:
        return Sentence("says that the answer is wrong")
    if judgement.none_fits:
        return Sentence("says that none fits")
    n, n_shown = len(judgement.picked), len(judgement.shown_order)
    return Sentence("picked %(n)s of %(all)s", n=n, all=n_shown)


def _event_line(line: HistoryLine) -> ItemEventLine:
    event = line.event
    return ItemEventLine(
        at=line.at,
        actor_name=line.actor_name,
        text=event.describe(),
        new_item_id=event.replacement_id if isinstance(event, ItemReplaced) else None,
        old_item_id=event.replaced_id if isinstance(event, ItemCorrected) else None,
    )
