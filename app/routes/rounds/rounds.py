"""Rounds: started, watched, closed, retried and cancelled by hand."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.kit.sentences import Sentence
from app.models import Project, Round
from app.services.judging import ending
from app.services.projects import projects
from app.services.quality.asking import request_evidence
from app.services.rounds import bases, rounds, starting
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject, ManagedRound
from app.web.http.htmx import is_htmx, redirect, respond
from app.web.pages.rounds.closing import close_page
from app.web.pages.rounds.findings import round_findings
from app.web.pages.rounds.forms import new_round_page
from app.web.pages.rounds.rounds import round_page, round_state

router = APIRouter()

STATUS_FRAGMENT = "round/_status.html"


@router.get("/projects/{slug}/rounds/new")
def show_new(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    context = {"project": project, "page": new_round_page(session, project)}
    return respond(request, page="round/new.html", context=context)


@router.post("/projects/{slug}/rounds")
def create(
    request: Request, project: ManagedProject, user: CurrentUser, session: SessionDep
) -> Response:
    settings = projects.settings_of(project)
    round_ = rounds.create_round(session, project, settings=settings, actor=user)
    starting.start_round(session, round_, actor=user)
    return _back(request, round_, _started(round_))


@router.get("/rounds/{round_id}")
def show(request: Request, round_: ManagedRound, session: SessionDep) -> Response:
    page = round_page(session, _project(session, round_), round_)
    context = {
        "project": page.project,
        "page": page,
        "state": page.state,
        "findings": page.findings,
    }
    return respond(request, page="round/show.html", context=context)


@router.get("/rounds/{round_id}/status")
def show_status(
    request: Request, round_: ManagedRound, session: SessionDep, seen: str = ""
) -> Response:
    """The renewing part alone. `seen` says what the page shows: where that has changed, it is
    announced, and what is stored about the round comes along."""
    if not is_htmx(request):
        return redirect(request, f"/rounds/{round_.id}")
    project = _project(session, round_)
    state = round_state(session, project, round_)
    context = {"project": project, "state": state}
    fragments = [STATUS_FRAGMENT]
    if seen != state.seen:
        context["findings"] = round_findings(session, round_, state.progress)
        fragments += ["round/_announcement.html", "round/_findings.html"]
    return respond(request, page="round/show.html", context=context, fragments=fragments)


@router.post("/rounds/{round_id}/start")
def start(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    starting.start_round(session, round_, actor=user)
    return _back(request, round_, _started(round_))


@router.get("/rounds/{round_id}/close")
def confirm_close(request: Request, round_: ManagedRound, session: SessionDep) -> Response:
    page = close_page(session, _project(session, round_), round_)
    context = {"project": page.project, "page": page}
    return respond(request, page="round/close.html", context=context)


@router.post("/rounds/{round_id}/close")
def close(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    ending.end_judging(session, round_, actor=user)
    text = Sentence("Judging is over. What fits is being admitted; training starts by itself.")
    return _back(request, round_, text)


@router.post("/rounds/{round_id}/evidence")
def gather_evidence(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    request_evidence(session, round_, actor=user)
    text = Sentence("The evidence is being gathered; the page shows it as soon as it is there.")
    return _back(request, round_, text)


@router.post("/rounds/{round_id}/retry")
def retry(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    rounds.retry_round(session, round_, actor=user)
    return _back(request, round_, Sentence("Retried: it goes on where it stopped."))


@router.post("/rounds/{round_id}/changed-base")
def go_on_with_changed_base(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    bases.go_on_with_changed_base(session, round_, actor=user)
    text = Sentence("Retried with the changed base; adapters of the old one are left behind.")
    return _back(request, round_, text)


@router.get("/rounds/{round_id}/cancel")
def confirm_cancel(request: Request, round_: ManagedRound, session: SessionDep) -> Response:
    context = {"project": _project(session, round_), "round": round_}
    return respond(request, page="round/cancel.html", context=context)


@router.post("/rounds/{round_id}/cancel")
def cancel(
    request: Request, round_: ManagedRound, user: CurrentUser, session: SessionDep
) -> Response:
    rounds.cancel_round(session, round_, actor=user)
    text = Sentence("Round %(number)s is cancelled.", number=round_.number)
    return _back(request, round_, text)


def _project(session: SessionDep, round_: Round) -> Project:
    return session.get_one(Project, round_.project_id)


def _started(round_: Round) -> Sentence:
    return Sentence("Round %(number)s is started.", number=round_.number)


def _back(request: Request, round_: Round, text: str) -> Response:
    return redirect(request, f"/rounds/{round_.id}", toast_text=text)
