"""Adjudication: admins decide where annotators differ, one item at a time, without their names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput, StaleVersion
from app.kit.numbers import Id, Whole
from app.kit.sentences import Sentence
from app.models import Project, Round
from app.services.admission import adjudication as service
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedRound
from app.web.http.forms import Posted
from app.web.http.htmx import redirect, respond
from app.web.pages.quality.adjudication import NothingPage, decided_page, item_page, next_page

router = APIRouter()

_DECISIONS = {"fits": True, "misfit": False}


@router.get("/rounds/{round_id}/adjudication")
def show_next(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    """Shows the next item on which people differ, or that nothing is left."""
    page = next_page(session, _project(session, round_), round_, user)
    if isinstance(page, NothingPage):
        return respond(request, page="adjudication/nothing.html", context={"page": page})
    return respond(request, page="adjudication/item.html", context={"page": page})


@router.get("/rounds/{round_id}/adjudication/decided")
def list_decided(
    *,
    request: Request,
    round_: ManagedRound,
    session: SessionDep,
    before: Annotated[str, Query(max_length=50)] = "",
    item: Whole = 0,
) -> Response:
    """Lists what was decided, newest first; a time that is none begins anew."""
    time = _read_time(before)
    place = (time, item) if time else None
    page = decided_page(session, _project(session, round_), round_, before=place)
    return respond(request, page="adjudication/decided.html", context={"page": page})


@router.get("/rounds/{round_id}/adjudication/items/{item_id}")
def show_item(
    request: Request, round_: ManagedRound, item_id: Id, user: CurrentUser, session: SessionDep
) -> Response:
    page = item_page(session, _project(session, round_), round_, user, item_id)
    return respond(request, page="adjudication/item.html", context={"page": page})


@router.post("/rounds/{round_id}/adjudication/items/{item_id}")
def decide_item(  # noqa: PLR0917 - dependencies of FastAPI
    request: Request,
    round_: ManagedRound,
    item_id: Id,
    user: CurrentUser,
    session: SessionDep,
    posted: Posted,
) -> Response:
    """Keeps a decision and goes on to the next item; what is refused is shown again."""
    fits = _read_decisions(posted)
    try:
        service.adjudicate(
            session, round_, item_id, fits, version=posted.get("version", ""), actor=user
        )
    except (InvalidInput, StaleVersion) as error:
        # A newer decision of somebody else is what has to be seen.
        chosen = fits if isinstance(error, InvalidInput) else None
        project = _project(session, round_)
        page = item_page(
            session, project, round_, user, item_id, chosen=chosen, error=error.message
        )
        context = {"page": page}
        return respond(
            request, page="adjudication/item.html", context=context, status=error.status_code
        )
    return redirect(request, f"/rounds/{round_.id}/adjudication")


@router.post("/rounds/{round_id}/adjudication/items/{item_id}/take-back")
def take_back(
    request: Request, round_: ManagedRound, item_id: Id, user: CurrentUser, session: SessionDep
) -> Response:
    """Forgets what was decided of an item, and shows it again."""
    was_decided = service.take_back(session, round_, item_id, actor=user)
    said = Sentence("Taken back.") if was_decided else Sentence("There is nothing to take back.")
    url = f"/rounds/{round_.id}/adjudication/items/{item_id}"
    return redirect(request, url, toast_text=said)


def _project(session: SessionDep, round_: Round) -> Project:
    return session.get_one(Project, round_.project_id)


def _read_decisions(posted: Mapping[str, str]) -> dict[int, bool]:
    """Returns what was chosen of each candidate; what is no such choice is passed over."""
    found: dict[int, bool] = {}
    for name, value in posted.items():
        number = name.removeprefix("candidate-")
        if number != name and number.isdecimal() and value in _DECISIONS:
            found[int(number)] = _DECISIONS[value]
    return found


def _read_time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
