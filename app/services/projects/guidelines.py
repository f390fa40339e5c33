"""Guidelines in versions: every text is kept, and every annotator is told of a change once."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.events.projects import GuidelinesChanged
from app.kit.errors import InvalidInput, StaleVersion
from app.kit.sentences import Amount, Sentence
from app.kit.texts import is_unchanged, plain_lines
from app.models import GuidelinesVersion, Project, User
from app.queries.projects import guidelines as queries
from app.services.events import record
from app.services.projects.differences import DiffLine, Mark, diff_lines

MAX_GUIDELINES = 100_000


@dataclass(frozen=True)
class Change:
    """A change that a person has not read yet; without lines where the old text was not kept."""

    number: int
    lines: tuple[DiffLine, ...]


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
    """Stores new guidelines under a new version number, which every judgement made under them
    carries.

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
    session.flush()  # the difference is between two versions that are stored
    keep_difference(session, project.id, project.guidelines_version - 1, project.guidelines_version)
    record(
        session,
        GuidelinesChanged(version=project.guidelines_version),
        project_id=project.id,
        actor=actor,
    )


def find_unread_change(session: Session, project: Project, read: int | None) -> Change | None:
    """Returns what changed since a person read version `read`; None where they have read all.

    Somebody who looks for the first time (`read` is None) is told of no change.
    """
    if read is None or read >= project.guidelines_version:
        return None
    number = project.guidelines_version
    return Change(number=number, lines=find_difference(session, project.id, read, number))


def keep_unread_change(session: Session, project: Project, read: int | None) -> None:
    """Keep what changed since version `read`, so that pages need not compare long texts again."""
    if read is not None and read < project.guidelines_version:
        keep_difference(session, project.id, read, project.guidelines_version)


def find_difference(
    session: Session, project_id: int, old_number: int, new_number: int
) -> tuple[DiffLine, ...]:
    """Returns what changed between two versions; nothing where a text was not kept."""
    kept = queries.find_difference(session, project_id, old_number, new_number)
    if kept is not None:
        return tuple(DiffLine(Mark(mark), text) for mark, text in kept.lines)
    old = queries.find_version(session, project_id, old_number)
    new = queries.find_version(session, project_id, new_number)
    return diff_lines(old.text, new.text) if old and new else ()


def keep_difference(session: Session, project_id: int, old_number: int, new_number: int) -> None:
    """Keep what changed between two versions, unless it is kept already or a text was not."""
    if queries.find_difference(session, project_id, old_number, new_number) is None and all(
        queries.find_version(session, project_id, number) for number in (old_number, new_number)
    ):
        lines = find_difference(session, project_id, old_number, new_number)
        packed = [[line.kind.value, line.text] for line in lines]
        queries.put_difference(session, project_id, old_number, new_number, packed)


def mark_read(session: Session, project: Project, user: User, *, number: int) -> None:
    """The person has read this version; one that is not there yet cannot have been read."""
    if not 1 <= number <= project.guidelines_version:
        raise InvalidInput(Sentence("There is no such version of the guidelines."))
    queries.put_reading(session, project.id, user.id, number)
