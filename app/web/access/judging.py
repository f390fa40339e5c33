"""Gates of the judging pages: members of the project, and of a judgement its author alone.

One look-up for who is asking and for what: these are the requests that people wait for.
"""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.texts import Sentence
from app.queries.judging.judgements import (
    LockedItem,
    LockedPlace,
    OwnPlace,
    RoundPlace,
    find_own_place,
    find_round_place,
    lock_own_item,
    lock_own_place,
)
from app.services.accounts.accounts import hash_token
from app.web.access.deps import SessionDep, explain_refusal, find_current_user, may_come_in
from app.web.http.inputs import Id
from app.web.http.sessions import get_cookies

Place = TypeVar("Place", bound=RoundPlace)

_NO_JUDGEMENT = Sentence("There is no such judgement of yours.")


def judged_round(round_id: Id, request: Request, session: SessionDep) -> RoundPlace:
    missing = Sentence("There is no such round, or you are not a member of its project.")
    return _place(request, session, find_round_place, round_id, missing)


def own_judgement(judgement_id: Id, request: Request, session: SessionDep) -> OwnPlace:
    return _place(request, session, find_own_place, judgement_id, _NO_JUDGEMENT)


def locked_judgement(judgement_id: Id, request: Request, session: SessionDep) -> LockedPlace:
    return _place(request, session, lock_own_place, judgement_id, _NO_JUDGEMENT)


def locked_item(judgement_id: Id, request: Request, session: SessionDep) -> LockedItem:
    return _place(request, session, lock_own_item, judgement_id, _NO_JUDGEMENT)


def _place(
    request: Request,
    session: Session,
    find: Callable[[Session, int, int, str], Place | None],
    wanted_id: int,
    missing: str,
) -> Place:
    mark = get_cookies(request).read_session(request)
    place = find(session, wanted_id, mark.user_id, hash_token(mark.key)) if mark else None
    if place and place.is_signed_in and may_come_in(request, place.user):
        if place.user.is_admin or place.role:
            return place
    elif place or not find_current_user(request, session):
        raise explain_refusal(request, session)
    raise NotFound(missing)


JudgedRound = Annotated[RoundPlace, Depends(judged_round)]
OwnJudgement = Annotated[OwnPlace, Depends(own_judgement)]
LockedJudgement = Annotated[LockedPlace, Depends(locked_judgement)]
LockedJudgedItem = Annotated[LockedItem, Depends(locked_item)]
