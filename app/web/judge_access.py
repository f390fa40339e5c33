"""The gate of a judgement: its author alone, while they are a member of its project."""

from typing import Annotated

from fastapi import Depends

from app.errors import NotFound
from app.models import Judgement
from app.queries.judging import find_own_place
from app.texts import Sentence
from app.web.deps import CurrentUser, SessionDep


def own_judgement(judgement_id: int, user: CurrentUser, session: SessionDep) -> Judgement:
    place = find_own_place(session, judgement_id, user.id)
    if place is None or not (user.is_admin or place.role):
        raise NotFound(Sentence("There is no such judgement of yours."))
    # The session forgets what nobody holds, and the handler asks for these again.
    session.info["place"] = place
    return place.judgement


OwnJudgement = Annotated[Judgement, Depends(own_judgement)]
