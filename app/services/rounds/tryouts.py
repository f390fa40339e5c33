"""The playground: two models are asked about one picture, side by side, by a worker.

A model is a round with its new adapter, or the base model. What comes of it is kept with its run
for some days. It is part of no round: nothing of it is judged, trained on, measured or released,
and so a held-out item may be asked about, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, LostRun, NotFound
from app.kit.numbers import LARGEST
from app.kit.sentences import Sentence, Told
from app.lifecycle import LIVE_RUN, Job
from app.models import Item, Project, Round, Run, TriedPicture, User
from app.pictures.files import show
from app.pictures.seeing import PictureError
from app.queries.projects import tryouts as queries
from app.queries.rounds.rounds import list_rounds
from app.queries.runs import runs as run_queries
from app.run_results import StoredJson
from app.services.archived import require_open
from app.services.dataset.formats.images import ParsedImage
from app.services.dataset.items import MAX_LENGTHS
from app.services.refusals import TryoutLive, TryoutsWaiting
from app.services.runs import runs

BASE = 0
"""The number that stands for the base model in the place of a round's."""
KEPT = timedelta(days=14)
"""How long a try-out can be looked at after it ended."""
MOST_LIVE = 5
"""Of a project: a worker does one at a time, and rounds wait meanwhile."""
MOST_KEPT = 200
"""Of a project: the oldest go first."""
MAX_PICTURE_BYTES = 16 << 20
MAX_OPENER = 200
MAX_TEMPERATURE = 5.0


class Asked(StoredJson):
    """What a try-out asks: `parameters` of its run. sides: two rounds by number, 0 for the base.

    item_id, or picture: the sha256 of what was sent. explains: the models are told the answer and
    explain it; else they answer themselves, and `answer` only says what is right.
    """

    item_id: int | None = None
    picture: str = ""
    question: str
    answer: str = ""
    explains: bool = False
    opener: str
    temperature: float
    seed: int = 0
    sides: tuple[int, int]


class Tried(StoredJson):
    """What one model said. error: why it said nothing."""

    answer: str = ""
    rationale: str = ""
    is_right: bool | None = None
    """None where nobody said what is right, or the answer was given."""
    adapters: tuple[str, ...] = ()
    """Digests of the adapters that it was asked with; none for the base alone."""
    seconds: float = 0.0
    error: Told | None = None


class TryoutResult(StoredJson):
    """The result of a try-out: what each model said, in the order of the sides."""

    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What an admin typed, before it is checked."""

    question: str = ""
    answer: str = ""
    explains: bool = False
    opener: str = ""
    temperature: float = 0.01
    seed: int = 0
    sides: tuple[int, int] = (BASE, BASE)


def list_sides(session: Session, project: Project) -> Mapping[int, Round]:
    """Returns the rounds whose new adapter can be tried, by number; none where the project has no
    such round, and then the base cannot be tried either: a round says how it is asked."""
    rounds = list_rounds(session, project.id)
    trained = queries.list_trained_rounds(session, [round_.id for round_ in rounds])
    return {round_.number: round_ for round_ in rounds if round_.id in trained}


def request_tryout(
    session: Session,
    project: Project,
    wish: Wish,
    *,
    item: Item | None = None,
    picture: ParsedImage | None = None,
    actor: User | None,
) -> Run:
    """Ask a worker to try two models on an item, or on a picture that was sent; returns the run.

    The same asked again is the same run, as it would say the same.

    Raises:
        InvalidInput: something is missing or wrong; the sentence says what.
        Conflict: the project is archived, or too many wait already.
    """
    require_open(project)
    queries.lock_tryouts(session, project.id)
    asked = _checked(session, project, wish, item, picture)
    same = queries.find_same(session, project.id, asked.dump())
    if same is not None:
        return same
    if queries.count_live(session, project.id) >= MOST_LIVE:
        raise TryoutsWaiting(
            Sentence(
                "%(n)s try-outs of this project wait already. Look at them, or cancel one first.",
                n=MOST_LIVE,
            )
        )
    kept = _picture_to_keep(picture) if picture is not None and item is None else None
    run = runs.request_run(
        session, project_id=project.id, job=Job.TRY, parameters=asked.dump(), actor=actor
    )
    if kept is not None:
        kept.run_id = run.id
        session.add(kept)
    queries.delete_all_but(session, project.id, most=MOST_KEPT)
    return run


def remove_tryout(session: Session, run: Run) -> None:
    """Delete a try-out that is over, with its picture. Raises Conflict while it is live."""
    run = run_queries.lock_run(session, run.id)
    if run.status in LIVE_RUN:
        raise TryoutLive(Sentence("This try-out is still under way: cancel it first."))
    queries.delete_tryout(session, run.id)


def forget_old_tryouts(session: Session) -> None:
    """Delete the try-outs that nobody needs any more."""
    queries.delete_old_tryouts(session, KEPT)


def store_tried(session: Session, run_id: int, *, attempt: int, tried: Sequence[Tried]) -> None:
    """Finish a try-out with what its models said. Raises LostRun where it was cancelled, removed or
    taken over meanwhile."""
    try:
        run = run_queries.lock_run(session, run_id)
    except NotFound as error:
        raise LostRun(f"Run {run_id} was removed.") from error
    runs.finish_run(session, run, attempt=attempt, result=TryoutResult(tried=tuple(tried)))


# --- What was typed -------------------------------------------------------------------------


def _checked(
    session: Session,
    project: Project,
    wish: Wish,
    item: Item | None,
    picture: ParsedImage | None,
) -> Asked:
    if item is None and picture is None:
        raise InvalidInput(
            Sentence("Name an item of the project, or choose a picture to try the models on.")
        )
    question = wish.question.strip() or (item.question if item else "")
    answer = wish.answer.strip() or (item.answer if item else "")
    if not question:
        raise InvalidInput(Sentence("Write a question about the picture."))
    if wish.explains and not answer:
        raise InvalidInput(
            Sentence("Write the answer that is to be explained, or let the models answer.")
        )
    for text, most in ((question, MAX_LENGTHS["question"]), (answer, MAX_LENGTHS["answer"])):
        if len(text) > most:
            raise InvalidInput(
                Sentence("Question and answer have at most %(n)s characters here.", n=most)
            )
    if not wish.opener.strip() or len(wish.opener) > MAX_OPENER:
        raise InvalidInput(
            Sentence("The opener has 1 to %(n)s characters, such as “, seeing that”.", n=MAX_OPENER)
        )
    if not isfinite(wish.temperature) or not 0 < wish.temperature <= MAX_TEMPERATURE:
        raise InvalidInput(
            Sentence("The temperature is above 0 and at most %(n)s.", n=int(MAX_TEMPERATURE))
        )
    if not 0 <= wish.seed <= LARGEST:
        raise InvalidInput(Sentence("The seed is a whole number from 0 on."))
    _check_sides(session, project, wish.sides)
    return Asked(
        item_id=item.id if item else None,
        picture=picture.sha256 if picture is not None and item is None else "",
        question=question,
        answer=answer,
        explains=wish.explains,
        opener=wish.opener,
        temperature=wish.temperature,
        seed=wish.seed,
        sides=wish.sides,
    )


def _check_sides(session: Session, project: Project, sides: tuple[int, int]) -> None:
    there = {BASE, *list_sides(session, project)}
    if len(there) == 1:
        raise InvalidInput(
            Sentence("No round of this project has trained an adapter yet: there is none to try.")
        )
    if not there.issuperset(sides):
        raise InvalidInput(Sentence("Choose rounds that have trained an adapter, or the base."))
    if sides[0] == sides[1]:
        raise InvalidInput(Sentence("Choose two different models."))


def _picture_to_keep(picture: ParsedImage) -> TriedPicture:
    """What is kept of a picture that was sent: what everybody sees of it, and no more."""
    try:
        shown = show(picture.read())
    except PictureError as error:
        raise InvalidInput(
            Sentence("This picture cannot be shown: %(error)s", error=error.reason)
        ) from error
    if len(shown.content) > MAX_PICTURE_BYTES:
        raise InvalidInput(
            Sentence(
                "This picture is too large to be tried: at most %(n)s MB.",
                n=MAX_PICTURE_BYTES >> 20,
            )
        )
    return TriedPicture(media_type=shown.media_type, content=shown.content)
