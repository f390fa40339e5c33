"""Projects that are over: put away, taken out again, deleted with all that is theirs.

An archived project is read-only and in no list. Only an archived one can be deleted: its rows go in
one transaction that a light worker makes, and with them the files that no other project uses.
"""

import logging
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.projects import ProjectArchived, ProjectDeletionRequested, ProjectUnarchived
from app.kit import storage
from app.kit.db import on_commit, session_scope
from app.kit.sentences import Sentence
from app.models import Project, User
from app.queries.projects import removal as queries
from app.services.events import record
from app.services.refusals import (
    NameNotRepeated,
    ProjectBusy,
    ProjectDeleted,
    ProjectKept,
    ProjectNotArchived,
)

logger = logging.getLogger(__name__)


def archive_project(session: Session, project: Project, *, actor: User | None) -> None:
    """Make a project read-only and take it out of the lists. Raises Conflict while it is busy."""
    project = queries.lock_project(session, project.id)
    if project.archived_at is not None:
        return
    if queries.is_busy(session, project.id):
        raise ProjectBusy(
            Sentence("A round is open or a run is under way: finish or cancel it, then archive.")
        )
    project.archived_at = datetime.now(UTC)
    record(session, ProjectArchived(), project_id=project.id, actor=actor)


def unarchive_project(session: Session, project: Project, *, actor: User | None) -> None:
    """Take a project out of the archive. Raises Conflict when it is being deleted."""
    project = queries.lock_project(session, project.id)
    if project.deletion_requested_at is not None:
        raise ProjectDeleted(Sentence("This project is being deleted."))
    if project.archived_at is None:
        return
    project.archived_at = None
    record(session, ProjectUnarchived(), project_id=project.id, actor=actor)


def request_deletion(
    session: Session, project: Project, *, typed_name: str, actor: User | None
) -> None:
    """Mark an archived project to be deleted; from now on nobody finds it.

    Raises:
        InvalidInput: the name that was typed is not the project's.
        Conflict: it is not archived, or another project's adapter continues one of its.
    """
    project = queries.lock_project(session, project.id)
    if project.archived_at is None:
        raise ProjectNotArchived(
            Sentence("Only an archived project can be deleted: archive it first.")
        )
    if " ".join(typed_name.split()) != " ".join(project.name.split()):
        raise NameNotRepeated(Sentence("Type the name of the project as it stands here."))
    if queries.is_built_upon(session, project.id):
        raise ProjectKept(
            Sentence("An adapter of another project continues one of this project, which stays.")
        )
    project.deletion_requested_at = datetime.now(UTC)
    content = queries.count_content(session, project.id)
    # Of no project, so that it stays when the project's own history goes.
    record(
        session,
        ProjectDeletionRequested(
            slug=project.slug,
            n_items=content.n_items,
            n_judgements=content.n_judgements,
            releases=tuple(content.release_numbers),
        ),
        actor=actor,
    )


def delete_requested() -> int:
    """Delete the projects that wait for it, one transaction each; how many. Safe to repeat."""
    with session_scope() as session:
        waiting = queries.list_deletable(session)
    for project_id in waiting:
        with session_scope() as session:
            delete_project(session, project_id)
        logger.info("project %s was deleted", project_id)
    return len(waiting)


def delete_project(session: Session, project_id: int) -> None:
    """Delete all rows of a project, and the files that no other uses. Nobody finds the project any
    more, so that it can be done anew where the transaction does not end well."""
    images = queries.list_image_digests(session, project_id)
    adapters = queries.list_adapter_digests(session, project_id)
    queries.delete_project(session, project_id)
    unused_adapters = queries.list_unused_adapters(session, adapters)
    on_commit(session, lambda: storage.remove_project_files(project_id, unused_adapters))
    # Before the end of the transaction, which an import of one of these images waits for: after
    # it the file may be another project's.
    storage.remove_images(queries.delete_unused_images(session, images))
