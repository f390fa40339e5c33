"""Data in: files are kept, and a run checks and stores them as a whole."""

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.kit.storage import put_upload
from app.models import Project
from app.services.dataset import imports
from app.web.access.deps import CurrentUser, SessionDep
from app.web.access.projects import ManagedImportRun, ManagedProject
from app.web.access.uploads import ReceivedFiles
from app.web.http.errors import form_again
from app.web.http.htmx import redirect, respond
from app.web.pages.dataset.imports import list_imports

router = APIRouter()


@router.get("/projects/{slug}/imports")
def show(request: Request, project: ManagedProject, session: SessionDep) -> Response:
    return _show(request, project, session)


@router.post("/projects/{slug}/imports")
def upload(
    *,
    request: Request,
    project: ManagedProject,
    user: CurrentUser,
    session: SessionDep,
    received: ReceivedFiles,
) -> Response:
    layout = str(received.get("layout", imports.DataFormat.AUTO))
    if layout not in list(imports.DataFormat):
        raise InvalidInput(Sentence("There is no such layout of files."))

    def show(error: InvalidInput) -> Response:
        return _show(request, project, session, error=error.message, status=422)

    with form_again(request, show):
        # A browser sends an empty part where nothing was chosen.
        uploads = [
            put_upload(file.file, file.filename)
            for file in received.getlist("files")
            if isinstance(file, UploadFile) and file.filename
        ]
        run = imports.request_import(
            session,
            project,
            uploads=uploads,
            format=imports.DataFormat(layout),
            update=received.get("update") == "true",
            actor=user,
        )
    return redirect(request, f"/runs/{run.id}")


@router.post("/runs/{run_id}/update")
def import_again(
    request: Request, run: ManagedImportRun, user: CurrentUser, session: SessionDep
) -> Response:
    """Imports the same files again, now writing the rows that differ from their items."""
    project = session.get_one(Project, run.project_id)
    parameters = imports.ImportParameters.model_validate(run.parameters)
    again = imports.request_import(
        session,
        project,
        uploads=parameters.uploads,
        format=parameters.format,
        update=True,
        actor=user,
    )
    return redirect(request, f"/runs/{again.id}")


def _show(
    request: Request, project: Project, session: SessionDep, *, error: str = "", status: int = 200
) -> Response:
    context = {
        "project": project,
        "lines": list_imports(session, project),
        "layouts": [(layout.value, layout.value) for layout in imports.DataFormat],
        "max_mb": get_settings().max_upload_mb,
        "error": error,
    }
    return respond(request, page="import/index.html", context=context, status=status)
