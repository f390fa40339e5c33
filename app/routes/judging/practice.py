"""The practice round as annotators go through it. Works without JavaScript, page by page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app.kit.errors import InvalidInput, NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.models import PracticeAnswer, PracticeAttempt, PracticeItem, Project
from app.opinions import NOTHING, Opinion
from app.queries.judging import practice as queries
from app.services.judging import practice
from app.services.refusals import PracticeOver
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ReadableProject
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.pages.judging.practice import build_feedback, build_frame, build_start, build_work

router = APIRouter(prefix="/projects/{slug}/practice")


def _practice_item(
    practice_item_id: Id, project: ReadableProject, session: SessionDep
) -> PracticeItem:
    found = queries.find_practice_item(session, practice_item_id)
    if found is None or found.project_id != project.id:
        raise NotFound(Sentence("There is no such practice item. It may have been taken out."))
    return found


def _own_answer(
    answer_id: Id, project: ReadableProject, user: CurrentUser, session: SessionDep
) -> PracticeAnswer:
    found = session.get(PracticeAnswer, answer_id)
    if found is not None and found.project_id == project.id:
        attempt = session.get_one(PracticeAttempt, found.attempt_id)
        if attempt.user_id == user.id:
            return found
    raise NotFound(Sentence("There is no such practice answer of yours."))


@router.get("")
def show(
    request: Request, project: ReadableProject, user: CurrentUser, session: SessionDep
) -> Response:
    """The next item of the open try; without one, the way to begin or the result."""
    attempt = queries.find_last_attempt(session, project.id, user.id)
    if attempt is not None and attempt.finished_at is None:
        item = practice.open_next_item(session, project, attempt)
        if item is not None:
            return _show_item(request, session, project, attempt, item)
    context = {"project": project, "page": build_start(session, project, user, attempt)}
    return respond(request, page="practice/start.html", context=context)


@router.post("")
def begin(
    request: Request, project: ReadableProject, user: CurrentUser, session: SessionDep
) -> Response:
    practice.begin(session, project, user)
    return redirect(request, f"/projects/{project.slug}/practice")


@router.post("/items/{practice_item_id}/answer")
def answer(
    *,
    request: Request,
    project: ReadableProject,
    practice_item: Annotated[PracticeItem, Depends(_practice_item)],
    user: CurrentUser,
    session: SessionDep,
    picked: Annotated[list[Id] | None, Form()] = None,
    none_fits: Annotated[bool, Form()] = False,
    answer_is_wrong: Annotated[bool, Form()] = False,
) -> Response:
    attempt = queries.find_last_attempt(session, project.id, user.id)
    if attempt is None:
        raise PracticeOver(Sentence("Begin the practice round first."))
    opinion = Opinion(
        picked=tuple(picked or ()), none_fits=none_fits, answer_is_wrong=answer_is_wrong
    )

    def show(error: InvalidInput) -> Response:
        return _show_item(
            request, session, project, attempt, practice_item, opinion=opinion, error=error
        )

    with form_again(request, show):
        given = practice.answer(session, project, attempt, practice_item, opinion)
    return redirect(request, f"/projects/{project.slug}/practice/answers/{given.id}")


@router.get("/answers/{answer_id}")
def show_answer(
    request: Request,
    project: ReadableProject,
    given: Annotated[PracticeAnswer, Depends(_own_answer)],
    session: SessionDep,
) -> Response:
    attempt = session.get_one(PracticeAttempt, given.attempt_id)
    answered = [one.id for one in queries.list_answers(session, attempt.id)]
    context = {
        "project": project,
        "page": build_frame(session, project, attempt, n_before=answered.index(given.id)),
        "feedback": build_feedback(
            project, given, is_last=attempt.finished_at is not None and given.id == answered[-1]
        ),
    }
    return respond(request, page="practice/answer.html", context=context)


def _show_item(
    request: Request,
    session: SessionDep,
    project: Project,
    attempt: PracticeAttempt,
    item: PracticeItem,
    *,
    opinion: Opinion = NOTHING,
    error: InvalidInput | None = None,
) -> Response:
    n_before = len(queries.list_answers(session, attempt.id))
    work = build_work(session, project, item, opinion=opinion, error=error.message if error else "")
    context = {
        "project": project,
        "page": build_frame(session, project, attempt, n_before=n_before),
        "work": work,
    }
    return respond(
        request,
        page="practice/item.html",
        context=context,
        status=error.status_code if error else 200,
    )
