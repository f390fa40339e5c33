"""Check items as the admins of a project make them, and what people's answers to them come to."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput, NotFound
from app.kit.numbers import Id
from app.kit.sentences import CountedSentence, Sentence
from app.models import CheckItem, Project, Round, User
from app.queries.quality import checks as queries
from app.queries.rounds.rounds import find_open_round
from app.services.quality import checks as service
from app.services.quality import withdrawing
from app.services.quality.checks import DEFAULT_USES, MAX_CANDIDATES, ExpectedVerdict
from app.services.refusals import RoundNotJudging
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedItem, ManagedProject
from app.web.http.errors import form_again
from app.web.http.forms import Posted
from app.web.http.htmx import redirect, respond
from app.web.http.inputs import read_whole
from app.web.pages.quality.checks import (
    build_check,
    build_checks,
    build_new_check,
    build_person,
)

router = APIRouter()

_VERDICTS = {"fits": True, "misfit": False}


def _managed_check_item(
    check_item_id: Id, project: ManagedProject, session: SessionDep
) -> CheckItem:
    found = queries.find_check_item(session, check_item_id)
    if found is None or found.project_id != project.id:
        raise NotFound(Sentence("There is no such check item."))
    return found


def _checked_person(user_id: Id, project: ManagedProject, session: SessionDep) -> User:
    user = session.get(User, user_id)
    if user is None or user_id not in queries.list_counts(session, project.id):
        raise NotFound(Sentence("Nobody of that number has judged a check item here."))
    return user


CheckedUser = Annotated[User, Depends(_checked_person)]


@router.get("/projects/{slug}/checks")
def list_checks(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    context = {"project": project, "page": build_checks(session, project)}
    return respond(request, page="check/index.html", context=context)


@router.get("/projects/{slug}/checks/new")
def new_check(
    request: Request, project: ManagedProject, session: SessionDep, item: str = ""
) -> Response:
    """The form of a check item; `item` is the id in the data of the item that it is made of."""

    def show(error: InvalidInput) -> Response:
        page = build_checks(session, project, typed_id=item, error=error.message)
        context = {"project": project, "page": page}
        return respond(request, page="check/index.html", context=context, status=422)

    with form_again(request, show):
        found = service.find_item(session, project, item)
    expected = tuple(service.suggest_verdicts(session, found))
    page = build_new_check(session, project, found, expected, uses=str(DEFAULT_USES))
    return respond(request, page="check/new.html", context={"project": project, "page": page})


@router.post("/projects/{slug}/checks/new")
def make_check(
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    posted: Posted,
) -> Response:
    item = service.find_item(session, project, posted.get("item", ""))
    expected = _read_verdicts(posted)

    def show(error: InvalidInput) -> Response:
        page = build_new_check(
            session,
            project,
            item,
            expected,
            uses=posted.get("uses", ""),
            error=error.message,
            errors=tuple(error.errors),
        )
        context = {"project": project, "page": page}
        return respond(request, page="check/new.html", context=context, status=422)

    with form_again(request, show):
        service.make_check(
            session,
            project,
            item,
            expected,
            max_uses=read_whole(posted.get("uses", "")) or 0,
            actor=user,
        )
    return redirect(request, _url(project), toast_text=Sentence("The check item is made."))


@router.post("/projects/{slug}/checks/agreed")
def make_agreed_checks(
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    n: Annotated[str, Form()] = "",
) -> Response:
    """Makes check items of items on which all that judged them agree."""

    def show(error: InvalidInput) -> Response:
        page = build_checks(session, project, agreed_error=error.message)
        context = {"project": project, "page": page}
        return respond(request, page="check/index.html", context=context, status=422)

    with form_again(request, show):
        made = service.make_agreed_checks(
            session, project, n=read_whole(n) or 0, max_uses=DEFAULT_USES, actor=user
        )
        if not made:
            raise InvalidInput(
                Sentence(
                    "There is no such item: several people have to agree on all of its "
                    "candidates, of which two fit and two do not."
                )
            )
    text = CountedSentence("%(n)s check item made.", "%(n)s check items made.", n=made)
    return redirect(request, _url(project), toast_text=text)


@router.get("/projects/{slug}/checks/{check_item_id}")
def show_check(
    request: Request,
    project: ManagedProject,
    check_item: Annotated[CheckItem, Depends(_managed_check_item)],
    session: SessionDep,
) -> Response:
    context = {"project": project, "page": build_check(session, project, check_item)}
    return respond(request, page="check/show.html", context=context)


@router.post("/projects/{slug}/checks/{check_item_id}/retire")
def retire_check(
    request: Request,
    project: ManagedProject,
    check_item: Annotated[CheckItem, Depends(_managed_check_item)],
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    service.retire_check(session, check_item, actor=user)
    return redirect(request, _url(project), toast_text=Sentence("It is mixed in no more."))


@router.get("/projects/{slug}/checks/people/{user_id}")
def show_person(
    request: Request, project: ManagedProject, person: CheckedUser, session: SessionDep
) -> Response:
    context = {"project": project, "page": build_person(session, project, person)}
    return respond(request, page="check/person.html", context=context)


@router.post("/projects/{slug}/checks/people/{user_id}/withdraw")
def withdraw_answers(
    request: Request,
    project: ManagedProject,
    person: CheckedUser,
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    """Sets a person's answers of the open round apart."""
    n = withdrawing.withdraw_answers(session, _open_round(session, project), person, actor=user)
    text = CountedSentence("%(n)s answer set apart.", "%(n)s answers set apart.", n=n)
    return redirect(request, f"{_url(project)}/people/{person.id}", toast_text=text)


@router.post("/projects/{slug}/checks/people/{user_id}/give-back")
def give_answers_back(
    request: Request,
    project: ManagedProject,
    person: CheckedUser,
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    n = withdrawing.give_answers_back(session, _open_round(session, project), person, actor=user)
    text = CountedSentence("%(n)s answer counts again.", "%(n)s answers count again.", n=n)
    return redirect(request, f"{_url(project)}/people/{person.id}", toast_text=text)


@router.get("/items/{item_id}/check")
def use_item(request: Request, item: ManagedItem, session: SessionDep) -> Response:
    """Leads to the form that makes an item of the data a check item; its page has the button."""
    project = session.get_one(Project, item.project_id)
    expected = tuple(service.suggest_verdicts(session, item))
    page = build_new_check(session, project, item, expected, uses=str(DEFAULT_USES))
    return respond(request, page="check/new.html", context={"project": project, "page": page})


def _open_round(session: SessionDep, project: Project) -> Round:
    round_ = find_open_round(session, project.id)
    if round_ is None:
        raise RoundNotJudging(Sentence("No round is open."))
    return round_


def _read_verdicts(posted: Mapping[str, str]) -> tuple[ExpectedVerdict, ...]:
    """The fields are numbered, so that a plain form keeps texts and verdicts together."""
    return tuple(
        ExpectedVerdict(
            posted.get(f"text-{number}", ""), _VERDICTS.get(posted.get(f"verdict-{number}", ""))
        )
        for number in range(1, MAX_CANDIDATES + 1)
        if posted.get(f"text-{number}", "").strip()
    )


def _url(project: Project) -> str:
    return f"/projects/{project.slug}/checks"
