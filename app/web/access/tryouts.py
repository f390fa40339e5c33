"""Gates of the playground: a try-out of a project, and the picture that was sent with it."""

from typing import Annotated

from fastapi import Depends

from app.kit.errors import NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.models import Run, TriedPicture
from app.queries.projects import tryouts as queries
from app.web.access.deps import SessionDep
from app.web.access.projects import ManagedProject


def managed_tryout(run_id: Id, project: ManagedProject, session: SessionDep) -> Run:
    """Returns a try-out, for an admin of its project."""
    run = queries.find_tryout(session, project.id, run_id)
    if run is None:
        raise NotFound(
            Sentence("There is no such try-out: it was removed, or is of another project.")
        )
    return run


ManagedTryout = Annotated[Run, Depends(managed_tryout)]


def tried_picture(run: ManagedTryout, session: SessionDep) -> TriedPicture:
    """Returns the picture that was sent with a try-out."""
    picture = queries.find_picture(session, run.id)
    if picture is None:
        raise NotFound(Sentence("This try-out came without a picture of its own."))
    return picture


TriedPictureOf = Annotated[TriedPicture, Depends(tried_picture)]
