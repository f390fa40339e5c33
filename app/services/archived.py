"""Refuses changes to archived projects."""

from app.kit.errors import Conflict
from app.kit.sentences import Sentence
from app.models import Project

IS_ARCHIVED = Sentence("This project is archived: nothing can be changed until it is taken out.")


def require_open(project: Project) -> None:
    """Refuse what would change an archived project."""
    if project.archived_at is not None:
        raise Conflict(IS_ARCHIVED)
