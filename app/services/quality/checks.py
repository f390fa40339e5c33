"""Making and retiring check items, and what people's answers to them come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.check_score import CheckCounts, CheckScore, score_checks
from app.events.quality import CheckItemAdded, CheckItemRetired
from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.texts import collapse, unit_hash
from app.lifecycle import JUDGEABLE_ROUND, AuthorKind
from app.models import CheckCandidate, CheckItem, Item, Project, User
from app.queries.dataset.items import find_item_by_external_id
from app.queries.quality import checks as queries
from app.queries.rounds.candidates import store_candidates
from app.queries.rounds.rounds import find_open_round
from app.round_settings import LoopSettings
from app.same_text import text_key
from app.services.events import record
from app.services.quality.check_places import put_checks_in

MAX_CANDIDATES = 10
"""As many as there are digit keys."""
MAX_TEXT = 2000
DEFAULT_USES = 50
"""So many people judge a check item unless it is said otherwise: then too many know it."""
MAX_USES = 10_000
MAX_SUGGESTED = 100
N_EACH = 2
"""Candidates that fit, and that do not, in an item that is suggested."""


@dataclass(frozen=True)
class ExpectedVerdict:
    """A text with the verdict that everybody should give; None while nobody has said."""

    text: str
    fits: bool | None


@dataclass(frozen=True)
class CheckedPerson:
    """A person with what they said of check items, and their score where it has one."""

    user: User
    counts: CheckCounts
    score: CheckScore | None


def find_item(session: Session, project: Project, external_id: str) -> Item:
    """Returns the item with this id in the data. Raises InvalidInput where none can be used."""
    item = find_item_by_external_id(session, project.id, external_id.strip())
    if item is None:
        raise InvalidInput(Sentence("This project has no item with that id."))
    return item


def suggest_verdicts(session: Session, item: Item) -> list[ExpectedVerdict]:
    """Returns the texts of an item as the form of a check item begins: gold rationales, which fit,
    then what people judged. A verdict is filled in where all that judged a text agree.
    """
    found = {text_key(text): ExpectedVerdict(text, fits=True) for text in item.gold_rationales}
    for judged in queries.list_judged_texts(session, item.id, limit=MAX_CANDIDATES):
        is_agreed = judged.n_votes > 0 and judged.n_fits in (0, judged.n_votes)
        fits = judged.n_fits > 0 if is_agreed else None
        found.setdefault(text_key(judged.text), ExpectedVerdict(judged.text, fits))
    return list(found.values())[:MAX_CANDIDATES]


def make_check(
    session: Session,
    project: Project,
    item: Item,
    expected: Sequence[ExpectedVerdict],
    *,
    max_uses: int,
    actor: User | None,
) -> CheckItem:
    """Make an item a check item: from now on its verdicts are fixed, and it is mixed in.

    That begins with the next round or, where the open one does not have the item, at once. It is
    not sampled for training while it serves.

    Raises InvalidInput, with one line per fault, for verdicts that are missing or tell nothing,
    and for an item that people know or that serves already.
    """
    if queries.find_serving(session, item.id) is not None:
        raise InvalidInput(Sentence("This item is a check item already."))
    if item.excluded_at is not None:
        raise InvalidInput(Sentence("This item is excluded, so nobody can judge it."))
    if queries.is_practised(session, item.id):
        raise InvalidInput(Sentence("This is a practice item: people have been told its verdicts."))
    written = _checked(expected, max_uses)
    keys = {text_key(one.text): one for one in written}
    ids = store_candidates(
        session,
        {(item.id, key): collapse(one.text) for key, one in keys.items()},
        AuthorKind.PERSON,
    )
    check_item = CheckItem(
        project_id=project.id,
        item_id=item.id,
        max_uses=max_uses,
        created_by_id=actor.id if actor else None,
    )
    session.add(check_item)
    session.flush()  # its verdicts are named by its id
    session.add_all(
        CheckCandidate(
            check_item_id=check_item.id,
            candidate_id=ids[item.id, key],
            item_id=item.id,
            fits=bool(one.fits),
        )
        for key, one in keys.items()
    )
    session.flush()  # a round that is open takes them from the table
    record(session, CheckItemAdded(item_id=item.id), project_id=project.id, actor=actor)
    _put_into_open_round(session, project)
    return check_item


def make_agreed_checks(
    session: Session, project: Project, *, n: int, max_uses: int, actor: User | None
) -> int:
    """Make check items of up to `n` items on which all that judged them agree; returns how many.

    They are those of the newest round that people judged, chosen at random, with at least two
    candidates that fit and two that do not.
    """
    if not 1 <= n <= MAX_SUGGESTED:
        raise InvalidInput(
            Sentence("How many? A number between 1 and %(most)s is needed.", most=MAX_SUGGESTED)
        )
    round_id = queries.find_judged_round(session, project.id)
    agreed = queries.list_agreed_items(session, round_id, n_each=N_EACH) if round_id else []
    agreed.sort(key=lambda item_id: unit_hash("check", project.id, item_id))
    for item_id in agreed[:n]:
        item = session.get_one(Item, item_id)
        verdicts = [one for one in suggest_verdicts(session, item) if one.fits is not None]
        make_check(session, project, item, verdicts, max_uses=max_uses, actor=actor)
    return len(agreed[:n])


def retire_check(session: Session, check_item: CheckItem, *, actor: User) -> None:
    """Mix a check item in no more, and let its item be sampled again from the next round on."""
    if check_item.retired_at is not None:
        return
    queries.stop_standing(session, check_item.id, now=datetime.now(UTC))
    session.refresh(check_item)
    record(
        session,
        CheckItemRetired(item_id=check_item.item_id),
        project_id=check_item.project_id,
        actor=actor,
    )


def list_checked_people(session: Session, project: Project) -> list[CheckedPerson]:
    """Returns all that have judged a check item of the project: the lowest scores first."""
    counts = queries.list_counts(session, project.id)
    people = [
        CheckedPerson(user, counts[user.id], score_checks(counts[user.id]))
        for user in queries.list_people(session, list(counts))
    ]
    return sorted(people, key=lambda person: person.score.value if person.score else 2.0)


def _checked(expected: Sequence[ExpectedVerdict], max_uses: int) -> list[ExpectedVerdict]:
    """The texts that were written. Raises InvalidInput where they make no check item."""
    written = [one for one in expected if collapse(one.text)]
    errors: list[str] = []
    if len(written) > MAX_CANDIDATES:
        errors.append(Sentence("At most %(n)s rationales can be shown.", n=MAX_CANDIDATES))
    if len({text_key(one.text) for one in written}) < len(written):
        errors.append(Sentence("Two of the rationales are the same."))
    for number, one in enumerate(written, start=1):
        if one.fits is None:
            errors.append(Sentence("Rationale %(number)s: does it fit or not?", number=number))
        if len(one.text) > MAX_TEXT:
            errors.append(
                Sentence(
                    "Rationale %(number)s is longer than %(n)s characters.",
                    number=number,
                    n=MAX_TEXT,
                )
            )
    if {one.fits for one in written} - {None} != {True, False}:
        errors.append(
            Sentence("At least one has to fit and one not: else picking all, or none, is right.")
        )
    if not 1 <= max_uses <= MAX_USES:
        errors.append(Sentence("The number of uses is between 1 and %(most)s.", most=MAX_USES))
    if errors:
        raise InvalidInput(Sentence("Not saved."), errors=errors)
    return written


def _put_into_open_round(session: Session, project: Project) -> None:
    round_ = find_open_round(session, project.id)
    if round_ is not None and round_.status in JUDGEABLE_ROUND:
        put_checks_in(session, round_, LoopSettings.model_validate(round_.settings).judging)
