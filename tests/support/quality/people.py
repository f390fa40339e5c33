"""People who judge at a pace of their own, for tests."""

from collections.abc import Mapping, Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.models import Judgement, Project, Round, User
from tests.support.factories import make_membership, make_user
from tests.support.judging import Choose, first_two, gather_now, make_judged_items


def make_annotators(session: Session, project: Project, *names: str) -> list[User]:
    """Members of a project by these names."""
    people = [make_user(session, name=name) for name in names]
    for user in people:
        make_membership(session, project, user)
    return people


def judge_at_pace(
    session: Session,
    round_: Round,
    seconds: Mapping[User, float],
    *,
    n_items: int = 12,
    choose: Choose = first_two,
    clicker: User | None = None,
) -> None:
    """Let everybody judge all of some new items, each in so many seconds, and measure the round.

    clicker: who picks whatever they see first.
    """

    def choose_each(user: User, shown: Sequence[int]) -> Sequence[int]:
        return [shown[0]] if user is clicker else list(choose(user, shown))

    make_judged_items(session, round_, list(seconds), n_items=n_items, choose=choose_each)
    for user, own in seconds.items():
        session.execute(
            update(Judgement)
            .where(Judgement.round_id == round_.id, Judgement.user_id == user.id)
            .values(active_ms=round(own * 1000))
        )
    gather_now(session, round_)
