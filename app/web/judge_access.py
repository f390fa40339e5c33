"""The gate of a judgement: its author alone, while they are a member of its project."""

from typing import Annotated

from fastapi import Depends

from app.errors import NotFound
from app.models import Judgement, Project, Round
from app.queries.judging import find_judgement
from app.web.access import find_role
from app.web.deps import CurrentUser, SessionDep


def own_judgement(judgement_id: int, user: CurrentUser, session: SessionDep) -> Judgement:
    judgement = find_judgement(session, judgement_id)
    if judgement is not None and judgement.user_id == user.id:
        round_ = session.get_one(Round, judgement.round_id)
        project = session.get_one(Project, round_.project_id)
        if find_role(session, project, user) is not None:
            return judgement
    raise NotFound("There is no such judgement of yours.")


OwnJudgement = Annotated[Judgement, Depends(own_judgement)]
