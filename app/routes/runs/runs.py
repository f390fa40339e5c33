"""One import or release run; runs of a round are on the round's page."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.kit.sentences import Sentence
from app.lifecycle import Job
from app.models import Project, Run
from app.services.runs import runs
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedLoneRun, ManagedRun
from app.web.http.htmx import is_htmx, redirect, respond
from app.web.pages.dataset.imports import run_page

router = APIRouter(prefix="/runs/{run_id}")


@router.get("")
def show(request: Request, run: ManagedRun, session: SessionDep) -> Response:
    if run.round_id is not None:
        return redirect(request, f"/rounds/{run.round_id}")
    if run.job is Job.TRY:
        project = session.get_one(Project, run.project_id)
        return redirect(request, f"/projects/{project.slug}/playground/{run.id}")
    return _show(request, run, session)


@router.get("/status")
def show_status(request: Request, run: ManagedRun, session: SessionDep) -> Response:
    """The renewing part alone."""
    if run.round_id is not None or run.job is Job.TRY or not is_htmx(request):
        return redirect(request, f"/runs/{run.id}")
    return _show(request, run, session)


@router.post("/cancel")
def cancel(
    request: Request, run: ManagedLoneRun, user: CurrentUser, session: SessionDep
) -> Response:
    runs.cancel_run(session, run, actor=user)
    return redirect(request, f"/runs/{run.id}", toast_text=Sentence("The run is cancelled."))


@router.post("/retry")
def retry(
    request: Request, run: ManagedLoneRun, user: CurrentUser, session: SessionDep
) -> Response:
    again = runs.retry_run(session, run, actor=user)
    return redirect(request, f"/runs/{again.id}", toast_text=Sentence("Retried."))


def _show(request: Request, run: Run, session: SessionDep) -> Response:
    page = run_page(session, session.get_one(Project, run.project_id), run)
    context = {"project": page.project, "page": page}
    return respond(
        request, page="import/run.html", context=context, fragments=["import/_status.html"]
    )
