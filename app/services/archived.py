"""Refuses changes to archived projects."""

from app.kit.sentences import Sentence
from app.models import Project
from app.services.refusals import ProjectArchived

IS_ARCHIVED = Sentence("This project is archived: nothing can be changed until it is taken out.")


def require_open(project: Project) -> None:
    """Refuse what would change an archived project."""
    if project.archived_at is not None:
        raise ProjectArchived(IS_ARCHIVED)
