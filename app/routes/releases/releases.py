"""Data out: releases, made and built by a run, downloaded as files."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from app.kit.sentences import Sentence
from app.lifecycle import ReleaseFormat
from app.models import Project
from app.services.refusals import ReleaseNotBuilt
from app.services.releases import releases
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject, ManagedRelease
from app.web.http.htmx import redirect, respond
from app.web.pages.dataset.imports import FIGURE_LABELS, FORMAT_LABELS, release_line, releases_page

router = APIRouter()


@router.get("/projects/{slug}/releases")
def list_releases(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    context = {"project": project, "page": releases_page(session, project)}
    return respond(request, page="release/index.html", context=context)


@router.post("/projects/{slug}/releases")
def create(
    request: Request, project: ManagedProject, user: CurrentUser, session: SessionDep
) -> Response:
    run = releases.request_release(session, project, actor=user)
    return redirect(request, f"/runs/{run.id}")


@router.get("/releases/{release_id}")
def show(request: Request, release: ManagedRelease, session: SessionDep) -> Response:
    context = {
        "project": session.get_one(Project, release.project_id),
        "line": release_line(release),
        "labels": FORMAT_LABELS,
        "figure_labels": FIGURE_LABELS,
    }
    return respond(request, page="release/show.html", context=context)


@router.post("/releases/{release_id}/build")
def build(
    request: Request, release: ManagedRelease, user: CurrentUser, session: SessionDep
) -> Response:
    """Make the files again from the release's rows: they are the same bytes."""
    project = session.get_one(Project, release.project_id)
    run = releases.request_release(session, project, release=release, actor=user)
    return redirect(request, f"/runs/{run.id}")


@router.get("/releases/{release_id}/files/{layout}")
def download(release: ManagedRelease, layout: ReleaseFormat, session: SessionDep) -> Response:
    path = releases.archive_path(release, layout)
    if not path.is_file():
        raise ReleaseNotBuilt(
            Sentence("This file of the release is not built. Build it on the release's page.")
        )
    project = session.get_one(Project, release.project_id)
    name = f"{project.slug}-release-{release.number}-{layout.value}.zip"
    return FileResponse(path, media_type="application/zip", filename=name)
