"""Comparing the adapter that a round made with the one before it: asked for, stopped, retried."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.kit.sentences import CountedSentence, Sentence
from app.models import Project, Round
from app.queries.quality.comparisons import count_progress
from app.services.quality import comparisons
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedRound
from app.web.http.htmx import redirect, respond
from app.web.http.inputs import read_whole

router = APIRouter()


@router.post("/rounds/{round_id}/comparison")
def request_comparison(
    *,
    request: Request,
    round_: ManagedRound,
    user: CurrentUser,
    session: SessionDep,
    items: Annotated[str, Form()] = "",
    strategy: Annotated[str, Form()] = "",
) -> Response:
    """Asks on so many test items, or on as many as are left; of one of several strategies."""
    made = comparisons.request_comparison(
        session,
        round_,
        n_items=read_whole(items) or 0,
        strategy=strategy or None,
        actor=user,
    )
    text = CountedSentence(
        "Texts of both are being sampled for %(n)s test item.",
        "Texts of both are being sampled for %(n)s test items.",
        n=count_progress(session, made.id).n_items,
    )
    return _back(request, round_, text)


@router.post("/rounds/{round_id}/comparison/retry")
def retry_comparison(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    comparisons.retry_comparison(session, round_, actor=user)
    return _back(request, round_, Sentence("Retried: it goes on where it stopped."))


@router.get("/rounds/{round_id}/comparison/cancel")
def confirm_cancel(request: Request, round_: ManagedRound, session: SessionDep) -> Response:
    _, progress = comparisons.find_cancellable(session, round_)
    project = session.get_one(Project, round_.project_id)
    context = {"project": project, "round": round_, "progress": progress}
    return respond(request, page="round/cancel_comparison.html", context=context)


@router.post("/rounds/{round_id}/comparison/cancel")
def cancel_comparison(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    comparisons.cancel_comparison(session, round_, actor=user)
    return _back(request, round_, Sentence("The comparison is cancelled."))


def _back(request: Request, round_: Round, text: str) -> Response:
    return redirect(request, f"/rounds/{round_.id}", toast_text=text)
