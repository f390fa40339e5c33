"""The name under which a person appears in the releases of a project."""

import hmac

from app.models import Project


def pseudonym(project: Project, user_id: int) -> str:
    """Returns a person's pseudonym: one for all releases of a project, another in every project."""
    key = project.pseudonym_secret.encode()
    return "annotator-" + hmac.digest(key, f"user {user_id}".encode(), "sha256").hex()[:16]
