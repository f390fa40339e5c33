"""Gates of the questions that a model asked: a person's own place at an image of their project."""

from typing import Annotated

from fastapi import Depends

from app.kit.errors import NotFound
from app.kit.numbers import Id
from app.kit.sentences import Sentence
from app.queries.judging.questions import reviews as queries
from app.queries.judging.questions.reviews import HeldReview
from app.services.judging.questions import handing_out
from app.web.access.deps import SessionDep
from app.web.access.projects import AtProject


def own_review(review_id: Id, access: AtProject, session: SessionDep) -> HeldReview:
    """Returns a review of the person who asks, in this project."""
    found = queries.find_review(session, review_id, access.user.id)
    if found is None or found.project.id != access.project.id:
        raise NotFound(Sentence("There are no such questions before you in this project."))
    return found


OwnReview = Annotated[HeldReview, Depends(own_review)]


def locked_review(found: OwnReview, session: SessionDep) -> HeldReview:
    """Returns it with the person and the image, all locked until the request ends."""
    return handing_out.hold(session, found.review)


LockedReview = Annotated[HeldReview, Depends(locked_review)]
