"""The practice round as its admins make it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput, NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.lifecycle import PracticeMode
from app.models import PracticeItem, Project
from app.queries.judging import practice as queries
from app.services.judging import practice_items as service
from app.services.judging.practice_items import MAX_CANDIDATES, Expected, Lesson
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedItem, ManagedProject
from app.web.http.errors import form_again
from app.web.http.forms import Posted
from app.web.http.htmx import redirect, respond
from app.web.http.inputs import read_whole
from app.web.pages.judging.practice import build_admin, build_lesson_page

router = APIRouter()

_VERDICTS = {"fits": True, "misfit": False}


def _managed_practice_item(
    practice_item_id: Id, project: ManagedProject, session: SessionDep
) -> PracticeItem:
    found = queries.find_practice_item(session, practice_item_id)
    if found is None or found.project_id != project.id:
        raise NotFound(Sentence("There is no such practice item."))
    return found


ManagedPracticeItem = Annotated[PracticeItem, Depends(_managed_practice_item)]


@router.get("/projects/{slug}/practice/items")
def list_items(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    context = {"project": project, "page": build_admin(session, project)}
    return respond(request, page="practice/index.html", context=context)


@router.post("/projects/{slug}/practice/items")
def add_item(
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    external_id: Annotated[str, Form()] = "",
) -> Response:
    def show(error: InvalidInput) -> Response:
        page = build_admin(session, project, typed_id=external_id, error=error.message)
        context = {"project": project, "page": page}
        return respond(request, page="practice/index.html", context=context, status=422)

    with form_again(request, show):
        added = service.add_by_external_id(session, project, external_id, actor=user)
    return redirect(request, _url(project, added))


@router.post("/items/{item_id}/practice")
def use_item(
    request: Request, item: ManagedItem, user: CurrentUser, session: SessionDep
) -> Response:
    """Makes an item of the data a practice item; the page of the item has the button."""
    project = session.get_one(Project, item.project_id)
    added = service.add_item(session, project, item, actor=user)
    return redirect(request, _url(project, added))


@router.post("/projects/{slug}/practice/rules")
def update_rules(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    mode: Annotated[PracticeMode, Form()],
    pass_percent: Annotated[str, Form()] = "",
) -> Response:
    def show(error: InvalidInput) -> Response:
        page = build_admin(session, project, rules_error=error.message)
        context = {"project": project, "page": page}
        return respond(request, page="practice/index.html", context=context, status=422)

    with form_again(request, show):
        share = _read_share(pass_percent)
        service.update_rules(session, project, mode=mode, pass_share=share, actor=user)
    return redirect(
        request, f"/projects/{project.slug}/practice/items", toast_text=Sentence("Saved.")
    )


@router.get("/projects/{slug}/practice/items/{practice_item_id}")
def show_item(
    request: Request,
    project: ManagedProject,
    practice_item: ManagedPracticeItem,
    session: SessionDep,
) -> Response:
    context = {"project": project, "page": build_lesson_page(session, project, practice_item)}
    return respond(request, page="practice/edit.html", context=context)


@router.post("/projects/{slug}/practice/items/{practice_item_id}")
def save_item(
    *,
    request: Request,
    project: ManagedProject,
    practice_item: ManagedPracticeItem,
    user: CurrentUser,
    session: SessionDep,
    posted: Posted,
) -> Response:
    lesson = _read_lesson(posted, practice_item)

    def show(error: InvalidInput) -> Response:
        page = build_lesson_page(
            session,
            project,
            practice_item,
            lesson=lesson,
            error=error.message,
            errors=tuple(error.errors),
        )
        context = {"project": project, "page": page}
        return respond(request, page="practice/edit.html", context=context, status=422)

    with form_again(request, show):
        service.save_lesson(session, practice_item, lesson, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}/practice/items",
        toast_text=Sentence("Saved. People see it in their next practice."),
    )


@router.post("/projects/{slug}/practice/items/{practice_item_id}/remove")
def remove_item(
    request: Request,
    project: ManagedProject,
    practice_item: ManagedPracticeItem,
    user: CurrentUser,
    session: SessionDep,
) -> Response:
    service.remove_item(session, practice_item, actor=user)
    return redirect(
        request,
        f"/projects/{project.slug}/practice/items",
        toast_text=Sentence("Taken out of practice."),
    )


def _read_share(percent: str) -> float:
    """Returns the share that was typed in percent. Raises InvalidInput for all that is none."""
    try:
        share = float(percent.replace(",", ".")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidInput(Sentence("A number between 0 and 100 is needed."))
    return share


def _read_lesson(posted: Posted, practice_item: PracticeItem) -> Lesson:
    """The fields are numbered, so that a plain form keeps texts and verdicts together."""
    position = read_whole(posted.get("position", ""))
    return Lesson(
        position=practice_item.position if position is None else position,
        answer=posted.get("answer", ""),
        answer_is_wrong=posted.get("answer_is_wrong") == "true",
        explanation=posted.get("explanation", ""),
        candidates=tuple(
            Expected(
                text=posted.get(f"text-{number}", ""),
                fits=_VERDICTS.get(posted.get(f"verdict-{number}", "")),
                explanation=posted.get(f"why-{number}", ""),
            )
            for number in range(1, MAX_CANDIDATES + 1)
            if posted.get(f"text-{number}", "").strip()
        ),
    )


def _url(project: Project, practice_item: PracticeItem) -> str:
    return f"/projects/{project.slug}/practice/items/{practice_item.id}"
