"""Guidelines in versions: every text is kept, and every annotator is told of a change once."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.errors import InvalidInput, StaleVersion
from app.models import GuidelinesVersion, Project, User
from app.queries import guidelines as queries
from app.services.events import record
from app.texts import Amount, Sentence, is_unchanged, plain_lines

MAX_GUIDELINES = 100_000


@dataclass(frozen=True)
class Change:
    """A change that a person has not read yet. `old` is None where its text was not kept."""

    read_number: int
    number: int
    old: str | None
    new: str


def checked_guidelines(text: str) -> str:
    text = plain_lines(text).strip()
    if len(text) > MAX_GUIDELINES:
        raise InvalidInput(
            Sentence("The guidelines are longer than %(n)s characters.", n=Amount(MAX_GUIDELINES))
        )
    return text


def keep_version(session: Session, project: Project, *, actor: User | None) -> None:
    """Put the text that the project has now into the history, under the number it has now."""
    session.add(
        GuidelinesVersion(
            project_id=project.id,
            number=project.guidelines_version,
            text=project.guidelines,
            author_id=actor.id if actor else None,
        )
    )


def update_guidelines(
    session: Session,
    project: Project,
    *,
    guidelines: str,
    actor: User | None,
    version: int | None = None,
) -> None:
    """New guidelines get a new version number, which every judgement made under them carries.

    Raises:
        StaleVersion: somebody else saved after `version`, which the writer had before them.
        InvalidInput: the text is too long.
    """
    project = queries.lock_project(session, project.id)
    if is_unchanged(guidelines, project.guidelines):
        return
    guidelines = checked_guidelines(guidelines)
    if guidelines == project.guidelines:
        return
    if version is not None and version != project.guidelines_version:
        raise StaleVersion(
            Sentence(
                "Version %(number)s was saved by somebody else while you were writing. Compare, "
                "then save yours again to replace it.",
                number=project.guidelines_version,
            )
        )
    project.guidelines = guidelines
    project.guidelines_version += 1
    keep_version(session, project, actor=actor)
    record(
        session,
        "project:guidelines:changed",
        project_id=project.id,
        actor_id=actor.id if actor else None,
        version=project.guidelines_version,
    )


def find_unread_change(
    session: Session, project: Project, user: User, *, read: int | None
) -> Change | None:
    """What changed since this person read version `read`; nothing at their first look (None)."""
    if read is None:
        queries.put_reading(session, project.id, user.id, project.guidelines_version)
        return None
    if read >= project.guidelines_version:
        return None
    old = queries.find_version(session, project.id, read)
    return Change(
        read_number=read,
        number=project.guidelines_version,
        old=old.text if old else None,
        new=project.guidelines,
    )


def mark_read(session: Session, project: Project, user: User, *, number: int) -> None:
    """The person has read this version; one that is not there yet cannot have been read."""
    if not 1 <= number <= project.guidelines_version:
        raise InvalidInput(Sentence("There is no such version of the guidelines."))
    queries.put_reading(session, project.id, user.id, number)
