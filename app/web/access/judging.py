"""Gates of the judging pages: members of the project, and of a judgement its author alone.

One look-up for who is asking and for what: these are the requests that people wait for.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.principal import Credential
from app.queries.judging.access import (
    JudgementAccess,
    LockedItem,
    LockedJudgement,
    RoundAccess,
    find_judgement_access,
    find_round_access,
    lock_own_item,
    lock_own_judgement,
)
from app.web.access.deps import SessionDep, let_in, not_signed_in_or_closed

Access = TypeVar("Access", bound=RoundAccess)

_NO_JUDGEMENT = Sentence("There is no such judgement of yours.")


def judged_round(round_id: Id, request: Request, session: SessionDep) -> RoundAccess:
    missing = Sentence("There is no such round, or you are not a member of its project.")
    return _let_in(request, session, find_round_access, round_id, missing)


def own_judgement(judgement_id: Id, request: Request, session: SessionDep) -> JudgementAccess:
    return _let_in(request, session, find_judgement_access, judgement_id, _NO_JUDGEMENT)


def locked_judgement(judgement_id: Id, request: Request, session: SessionDep) -> LockedJudgement:
    return _let_in(request, session, lock_own_judgement, judgement_id, _NO_JUDGEMENT)


def locked_item(judgement_id: Id, request: Request, session: SessionDep) -> LockedItem:
    return _let_in(request, session, lock_own_item, judgement_id, _NO_JUDGEMENT)


def _let_in(
    request: Request,
    session: Session,
    find: Callable[[Session, int, Credential], Access | None],
    wanted_id: int,
    missing: str,
) -> Access:
    """Returns what was looked up, for somebody who is signed in and a member of the project.

    Raises NotFound with the sentence `missing`, or the reason why somebody may not come in.
    """
    access = let_in(
        request,
        session,
        lambda credential: find(session, wanted_id, credential),
        missing=missing,
        refuse=not_signed_in_or_closed,
    )
    if not access.user.is_admin and access.role is None:
        raise NotFound(missing)
    return access


AtRound = Annotated[RoundAccess, Depends(judged_round)]
AtOwnJudgement = Annotated[JudgementAccess, Depends(own_judgement)]
AtLockedJudgement = Annotated[LockedJudgement, Depends(locked_judgement)]
AtLockedItem = Annotated[LockedItem, Depends(locked_item)]
