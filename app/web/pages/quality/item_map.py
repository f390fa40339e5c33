"""How the items of a project fared in its rounds up to one: as a picture, a table and a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.item_trails import Fared, rank_of
from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.models import Item, Project, Round
from app.queries.quality.trails import count_trails, find_trail, list_by_trail
from app.queries.rounds.rounds import list_rounds
from app.web.render.maps import LETTERS, ItemMap, count_by_round, lay_out

PAGE_SIZE = 50

WORDS: Mapping[Split, Mapping[Fared, Sentence]] = {
    Split.TRAIN: {
        Fared.SET_ASIDE: Sentence("set aside"),
        Fared.UNCOVERED: Sentence("judged, nothing admitted"),
        Fared.OPEN: Sentence("not judged by enough people"),
        Fared.IMPROVED: Sentence("improved: newly covered"),
        Fared.COVERED: Sentence("covered before"),
        Fared.RESTING: Sentence("resting"),
        Fared.ABSENT: Sentence("not in the round"),
    },
    Split.VALIDATION: {
        Fared.REGRESSED: Sentence("regressed: ceased to fit"),
        Fared.UNCOVERED: Sentence("does not fit"),
        Fared.IMPROVED: Sentence("improved: began to fit"),
        Fared.COVERED: Sentence("fits as before"),
        Fared.ABSENT: Sentence("not measured"),
    },
}

TITLES = {
    Split.TRAIN: Sentence("Train items, as people judged"),
    Split.VALIDATION: Sentence("Validation items, as the model was measured"),
}


@dataclass(frozen=True)
class CountLine:
    """How many items fared so, in each round. Each count has the address of its items."""

    kind: str
    letter: str
    words: Sentence
    counts: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class MapPart:
    """The map of one split. numbers: of the rounds; url: of the page with its items."""

    split: Split
    title: Sentence
    url: str
    picture: ItemMap
    numbers: Sequence[int]
    lines: Sequence[CountLine]


@dataclass(frozen=True)
class _Trail:
    """Items that fared alike; `stored` says how up to the newest round, `shown` up to this one."""

    stored: str
    shown: str
    n: int


def map_parts(session: Session, round_: Round) -> list[MapPart]:
    """Returns the maps of a round's page; none before something was written down."""
    numbers = _numbers(session, round_)
    found = _list_trails(session, round_, len(numbers))
    return [
        _part(round_, split, trails, numbers) for split, trails in found.items() if split in WORDS
    ]


def _numbers(session: Session, round_: Round) -> list[int]:
    rounds = list_rounds(session, round_.project_id)
    return [entry.number for entry in rounds if entry.number <= round_.number]


def _list_trails(session: Session, round_: Round, n_rounds: int) -> dict[Split, list[_Trail]]:
    """Returns all that was written down of the first rounds, in the order of the map."""
    found = {}
    for split, counts in sorted(count_trails(session, round_.project_id).items()):
        trails = [
            _Trail(stored, stored[:n_rounds].ljust(n_rounds, Fared.ABSENT), n)
            for stored, n in counts.items()
        ]
        found[split] = sorted(trails, key=lambda trail: (rank_of(trail.shown), trail.stored))
    return found


def _part(
    round_: Round,
    split: Split,
    trails: Sequence[_Trail],
    numbers: Sequence[int],
    picture: ItemMap | None = None,
) -> MapPart:
    counts = count_by_round([(trail.shown, trail.n) for trail in trails], len(numbers))
    lines = [
        CountLine(
            fared.name.lower(),
            LETTERS[fared],
            words,
            [
                (of_round[fared], map_url(round_, split, number=number, fared=fared))
                for number, of_round in zip(numbers, counts, strict=True)
            ],
        )
        for fared, words in WORDS[split].items()
        if any(of_round[fared] for of_round in counts)
    ]
    return MapPart(
        split=split,
        title=TITLES[split],
        url=map_url(round_, split),
        picture=picture or _picture(trails, len(numbers)),
        numbers=numbers,
        lines=lines,
    )


def _picture(
    trails: Sequence[_Trail], n_rounds: int, first: int = 1, last: int | None = None
) -> ItemMap:
    return lay_out([(trail.shown, trail.n) for trail in trails], n_rounds, first, last)


def map_url(round_: Round, split: Split, **asked: object) -> str:
    """Returns the address of the items of a map. asked: what is said of them, where it is not 0 or
    nothing."""
    query = {"split": split.value} | {name: value for name, value in asked.items() if value}
    return f"/rounds/{round_.id}/map?{urlencode(query)}"


# --- The page of its own --------------------------------------------------------------------


@dataclass(frozen=True)
class MapItem:
    item: Item
    fared: Sequence[tuple[str, str, Sentence]]
    """In each round: a word for the stylesheet, the letter, and words."""


@dataclass(frozen=True)
class MapPage:
    """A stretch of the map, and its items. `of` says which items these are, if not all."""

    project: Project
    round: Round
    part: MapPart
    splits: Sequence[tuple[Split, Sentence, str]]
    of: Sentence | None
    row_urls: Sequence[str]
    """Of each row: the same page with its items alone."""
    items: Sequence[MapItem]
    n_shown_before: int
    previous_url: str
    next_url: str
    whole_url: str
    """Nothing where all is shown."""


@dataclass(frozen=True)
class Asked:
    """What the address of the map says; what makes no sense is passed over."""

    split: str = Split.TRAIN.value
    number: int = 0
    fared: str = ""
    first: int = 0
    last: int = 0
    page: int = 1


def map_page(session: Session, project: Project, round_: Round, asked: Asked) -> MapPage | None:
    """Returns the page of a map; None where nothing was written down."""
    numbers = _numbers(session, round_)
    found = {
        split: trails
        for split, trails in _list_trails(session, round_, len(numbers)).items()
        if split in WORDS
    }
    if not found:
        return None
    split = next((own for own in found if own.value == asked.split), next(iter(found)))
    trails, of = _chosen(found[split], split, numbers, asked)
    picture = _picture(trails, len(numbers), asked.first, asked.last or None)
    kept: dict[str, object] = {"number": asked.number, "fared": asked.fared} if of else {}
    offset = picture.first - 1 + (max(1, asked.page) - 1) * PAGE_SIZE
    limit = max(0, min(PAGE_SIZE, picture.last - offset))
    items = _list_items(session, project, split, trails, offset, limit)
    stretch = {**kept, "first": picture.first, "last": picture.last}
    is_whole = not of and picture.last - picture.first + 1 == picture.n_items
    has_more = offset + limit < picture.last and bool(items)
    return MapPage(
        project=project,
        round=round_,
        part=_part(round_, split, found[split], numbers, picture),
        splits=[(own, TITLES[own], map_url(round_, own)) for own in found],
        of=of,
        row_urls=[
            map_url(round_, split, **kept, first=row.first, last=row.last) for row in picture.rows
        ],
        items=items,
        n_shown_before=offset,
        previous_url=map_url(round_, split, **stretch, page=asked.page - 1)
        if asked.page > 1
        else "",
        next_url=map_url(round_, split, **stretch, page=asked.page + 1) if has_more else "",
        whole_url="" if is_whole else map_url(round_, split),
    )


def _chosen(
    trails: Sequence[_Trail], split: Split, numbers: Sequence[int], asked: Asked
) -> tuple[list[_Trail], Sentence | None]:
    """Returns the trails that have a letter in a round, where one is asked for, and words for it;
    else all."""
    fared = next((own for own in WORDS[split] if own.value == asked.fared), None)
    if fared is None or asked.number not in numbers:
        return list(trails), None
    place = numbers.index(asked.number)
    words = Sentence(
        "%(fared)s in round %(number)s", fared=WORDS[split][fared], number=asked.number
    )
    return [trail for trail in trails if trail.shown[place] == fared], words


def _list_items(  # noqa: PLR0917 - a stretch of a list
    session: Session,
    project: Project,
    split: Split,
    trails: Sequence[_Trail],
    offset: int,
    limit: int,
) -> list[MapItem]:
    """Returns the items of a stretch, of which only the trails that reach into it are asked for."""
    ends = list(accumulate(trail.n for trail in trails))
    reaching = [
        (trail, end - trail.n)
        for trail, end in zip(trails, ends, strict=True)
        if end > offset and end - trail.n < offset + limit
    ]
    if not reaching:
        return []
    shown = {trail.stored: trail.shown for trail, _ in reaching}
    rows = list_by_trail(
        session, project.id, split, list(shown), offset=offset - reaching[0][1], limit=limit
    )
    return [
        MapItem(item, [_told(split, Fared(letter)) for letter in shown[stored]])
        for item, stored in rows
    ]


@dataclass(frozen=True)
class TrailStep:
    """How one item fared in one round of its project."""

    round: Round
    kind: str
    letter: str
    words: Sentence


def trail_steps(session: Session, item: Item) -> list[TrailStep]:
    """Returns how an item fared in each round that it was part of, the newest first; nothing before
    that was written down, and for test items."""
    trail = find_trail(session, item.id)
    if not trail or item.split not in WORDS:
        return []
    rounds = list_rounds(session, item.project_id)
    steps = [
        TrailStep(round_, *_told(item.split, Fared(letter)))
        for round_, letter in zip(rounds, trail, strict=False)
        if letter != Fared.ABSENT
    ]
    return steps[::-1]


def _told(split: Split, fared: Fared) -> tuple[str, str, Sentence]:
    return fared.name.lower(), LETTERS[fared], WORDS[split][fared]
