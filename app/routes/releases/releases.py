"""Data out: releases, made and built by a run, downloaded as files."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import FileResponse, Response

from app.kit.errors import NotFound
from app.kit.numbers import Whole
from app.kit.sentences import Sentence
from app.models import Project
from app.services.refusals import ReleaseNotBuilt
from app.services.releases import releases
from app.services.releases.files import FILES, ReleaseFile, archive_path
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedProject, ManagedRelease
from app.web.http.htmx import redirect, respond
from app.web.pages.dataset.imports import (
    FIGURE_LABELS,
    FILE_CHOICES,
    release_line,
    releases_page,
)
from app.web.pages.releases.differences import differences_page
from app.web.pages.releases.trust import trust_lines

router = APIRouter()

ChosenFiles = Annotated[list[str], Form(max_length=len(FILES))]
"""Names of files, as forms and programs send them; none: the usual ones."""


@router.get("/projects/{slug}/releases")
def list_releases(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    context = {
        "project": project,
        "page": releases_page(session, project),
        "choices": FILE_CHOICES,
    }
    return respond(request, page="release/index.html", context=context)


@router.post("/projects/{slug}/releases")
def create(
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    files: ChosenFiles = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    run = releases.request_release(session, project, files=_named(files), actor=user)
    return redirect(request, f"/runs/{run.id}")


@router.get("/releases/{release_id}")
def show(request: Request, release: ManagedRelease, session: SessionDep) -> Response:
    context = {
        "project": session.get_one(Project, release.project_id),
        "line": release_line(release),
        "trust": trust_lines(release),
        "figure_labels": FIGURE_LABELS,
    }
    return respond(request, page="release/show.html", context=context)


@router.get("/releases/{release_id}/changes")
def show_changes(
    *,
    request: Request,
    release: ManagedRelease,
    session: SessionDep,
    since: Whole | None = None,
    kind: str = "",
    change: str = "",
    after: Whole = 0,
) -> Response:
    """Shows what a release holds that an earlier one does not, or holds otherwise."""
    context = {
        "project": session.get_one(Project, release.project_id),
        "page": differences_page(
            session, release, since=since, kind=kind, change=change, after=after
        ),
    }
    return respond(request, page="release/changes.html", context=context)


@router.post("/releases/{release_id}/build")
def build(
    request: Request,
    release: ManagedRelease,
    user: CurrentUser,
    session: SessionDep,
    files: ChosenFiles = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Make files from the release's rows: they are the same bytes every time."""
    project = session.get_one(Project, release.project_id)
    run = releases.request_release(
        session, project, release=release, files=_named(files), actor=user
    )
    return redirect(request, f"/runs/{run.id}")


@router.get("/releases/{release_id}/files/{name}")
def download(release: ManagedRelease, name: str, session: SessionDep) -> Response:
    (file,) = _named([name])
    path = archive_path(release, file)
    if not path.is_file():
        raise ReleaseNotBuilt(
            Sentence("This file of the release is not built. Build it on the release's page.")
        )
    project = session.get_one(Project, release.project_id)
    filename = f"{project.slug}-release-{release.number}-{file.name}.zip"
    return FileResponse(path, media_type="application/zip", filename=filename)


def _named(names: Sequence[str]) -> list[ReleaseFile]:
    unknown = [name for name in names if name not in FILES]
    if unknown:
        raise NotFound(
            Sentence("A release has no such file. It has %(names)s.", names=", ".join(FILES))
        )
    return [FILES[name] for name in dict.fromkeys(names)]
