"""The adapters that a project's rounds trained, as downloads."""

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from app.kit.errors import NotFound
from app.kit.sentences import Sentence
from app.models import Project
from app.queries.rounds.adapters import find_trained_adapter
from app.services.releases.adapters import prepare_download, stream_zip
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedAdapter

router = APIRouter()


@router.get("/adapters/{adapter_id}/file")
def download(adapter: ManagedAdapter, session: SessionDep) -> Response:
    """Sends the adapter with its model card, packed while it is sent."""
    trained = find_trained_adapter(session, adapter.id)
    if trained is None:
        raise NotFound(Sentence("No round made this adapter."))
    project = session.get_one(Project, adapter.project_id)
    prepared = prepare_download(session, project, trained)
    return StreamingResponse(
        stream_zip(prepared),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{prepared.filename}"'},
    )
