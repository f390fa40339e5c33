"""Questions that a model asked: one image after the other, each question kept, reworded or dropped.

The forms work without JavaScript; static/judge/questions.js saves every click with them.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from pydantic import AwareDatetime
from starlette.responses import Response

from app.kit.errors import Conflict, InvalidInput
from app.kit.numbers import Whole
from app.kit.sentences import Sentence
from app.models import User
from app.opinions import QuestionChoices
from app.queries.judging.questions.reviews import HeldReview
from app.routes.judging.question_form import QuestionForm
from app.services.judging.leases import shorten_lease
from app.services.judging.questions import deciding, handing_out
from app.web.access.deps import SessionDep
from app.web.access.projects import AtProject
from app.web.access.questions import LockedReview, OwnReview
from app.web.http.errors import wants_json
from app.web.http.htmx import is_htmx, redirect, respond
from app.web.http.inputs import drops_odd_characters
from app.web.pages.judging.questions import empty_page, review_page
from app.web.pages.judging.today import day_start
from app.web.pages.judging.work import lease_mark

router = APIRouter()

QuestionFormData = Annotated[QuestionForm, Form()]


@router.get("/projects/{slug}/questions")
def show_next(access: AtProject, session: SessionDep, request: Request) -> Response:
    """The questions to decide on now. Their image is reserved by being shown."""
    review = None
    if access.project.archived_at is None:
        review = handing_out.open_next(session, access.project, access.user)
    if review is None:
        page = empty_page(session, access.project, access.user)
        return respond(request, page="questions/show.html", context={"page": page})
    return _show(request, session, handing_out.hold(session, review), access.user)


@router.get("/projects/{slug}/questions/{review_id}")
def show_review(
    access: AtProject, found: OwnReview, session: SessionDep, request: Request
) -> Response:
    return _show(request, session, found, access.user)


@router.post("/projects/{slug}/questions/{review_id}/draft")
@drops_odd_characters
def save_draft(
    access: AtProject,
    held: LockedReview,
    form: QuestionFormData,
    session: SessionDep,
    request: Request,
) -> Response:
    choices = form.read()
    try:
        deciding.save_draft(session, held, choices, version=form.version, active_ms=form.active_ms)
    except (InvalidInput, Conflict) as error:
        return _refused(request, session, held, access.user, choices=choices, error=error)
    if is_htmx(request):
        saved = {
            "version": held.review.version,
            "lease_until": lease_mark(held.review),
            "leaves_out": False,
        }
        return respond(
            request, page="judge/_saved.html", fragments=["judge/_saved.html"], context=saved
        )
    return redirect(request, _place(held), toast_text=Sentence("Draft saved"))


@router.post("/projects/{slug}/questions/{review_id}/submit")
@drops_odd_characters
def submit(
    access: AtProject,
    held: LockedReview,
    form: QuestionFormData,
    session: SessionDep,
    request: Request,
) -> Response:
    choices = form.read()
    try:
        deciding.submit(session, held, choices, version=form.version, active_ms=form.active_ms)
    except (InvalidInput, Conflict) as error:
        return _refused(request, session, held, access.user, choices=choices, error=error)
    return redirect(request, f"/projects/{held.project.slug}/questions")


@router.post("/projects/{slug}/questions/{review_id}/skip")
def skip(held: LockedReview, request: Request) -> Response:
    handing_out.skip(held)
    return redirect(request, f"/projects/{held.project.slug}/questions")


@router.post("/projects/{slug}/questions/{review_id}/take-back")
def take_back(held: LockedReview, session: SessionDep, request: Request) -> Response:
    deciding.take_back(session, held)
    notice = Sentence("Taken back. Change it and submit it again.")
    return redirect(request, _place(held), toast_text=notice, kind="info")


@router.post("/projects/{slug}/questions/{review_id}/resume")
def resume(held: LockedReview, session: SessionDep, request: Request) -> Response:
    handing_out.resume(session, held)
    return redirect(request, _place(held))


@router.post("/projects/{slug}/questions/{review_id}/heartbeat")
def heartbeat(
    held: LockedReview,
    session: SessionDep,
    request: Request,
    active_ms: Annotated[Whole, Form()] = 0,
) -> Response:
    """Keep the image; the reply names the new end of the lease."""
    handing_out.heartbeat(session, held, active_ms=active_ms)
    context = {"lease_until": lease_mark(held.review)}
    return respond(
        request, page="judge/_lease.html", fragments=["judge/_lease.html"], context=context
    )


@router.post("/projects/{slug}/questions/{review_id}/release")
def release(held: LockedReview, request: Request) -> Response:
    """Stop for now: the image is free for others at once."""
    handing_out.give_back(held)
    return redirect(request, "/", toast_text=Sentence("Paused. What you chose is kept."))


@router.post("/projects/{slug}/questions/{review_id}/leave")
def leave(held: LockedReview, lease: Annotated[AwareDatetime | None, Form()] = None) -> Response:
    """Keep the image for a short while only, unless a newer page or heartbeat came since."""
    if lease is not None:
        shorten_lease(held.review, lease=lease)
    return Response(status_code=204)


def _place(held: HeldReview) -> str:
    return f"/projects/{held.project.slug}/questions/{held.review.id}"


def _show(
    request: Request,
    session: SessionDep,
    held: HeldReview,
    user: User,
    *,
    choices: QuestionChoices | None = None,
    error: InvalidInput | Conflict | None = None,
) -> Response:
    page = review_page(
        session,
        held,
        user,
        today=day_start(request.cookies),
        choices=choices,
        error=error.message if error else "",
    )
    return respond(
        request,
        page="questions/show.html",
        context={"page": page},
        status=error.status_code if error else 200,
    )


def _refused(
    request: Request,
    session: SessionDep,
    held: HeldReview,
    user: User,
    *,
    choices: QuestionChoices,
    error: InvalidInput | Conflict,
) -> Response:
    """Show what was chosen beside the reason; nothing of it counts, and nothing is thrown away."""
    if wants_json(request):
        raise error
    return _show(request, session, held, user, choices=choices, error=error)
