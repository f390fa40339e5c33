"""The page of all accounts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import User
from app.queries.accounts.users import list_people

PAGE_SIZE = 100


@dataclass(frozen=True)
class PeoplePage:
    people: Sequence[User]
    next_after: str | None
    name: str
    error: str
    link: str
    link_for: str


def people_page(
    session: Session,
    *,
    after: str = "",
    name: str = "",
    error: str = "",
    link_for: str = "",
    link: str = "",
) -> PeoplePage:
    """Builds the page of people; `link` is shown this once, for the person `link_for`."""
    session.flush()  # a person added a moment ago is in the list
    people = list_people(session, after=after, limit=PAGE_SIZE + 1)
    has_more = len(people) > PAGE_SIZE
    return PeoplePage(
        people=people[:PAGE_SIZE],
        next_after=people[PAGE_SIZE - 1].name if has_more else None,
        name=name,
        error=error,
        link=link,
        link_for=link_for,
    )
