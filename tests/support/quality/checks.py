"""Check items and people who judge them, for tests."""

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, Split
from app.models import CheckCandidate, CheckItem, Image, Judgement, Project, Round, RoundItem, User
from app.round_settings import JudgingSettings, LoopSettings
from app.services.judging import opening
from app.services.quality.checks import ExpectedVerdict, make_check
from tests.support.factories import make_item
from tests.support.judging import submit

FIT = ("the ball is red", "a red ball lies there")
MISFIT = ("the ball is blue", "there is a dog")


def settings_with(share: float, **judging: object) -> LoopSettings:
    """Settings of a round of which a share is check items."""
    return LoopSettings(
        judging=JudgingSettings.model_validate({"check_share": share, **judging}),
        auto_advance=False,
    )


def make_checks(
    session: Session,
    project: Project,
    n: int,
    *,
    max_uses: int = 50,
    images: Sequence[Image | None] = (),
) -> list[CheckItem]:
    """Check items of held-out images, each with two candidates that fit and two that do not.

    images: those of the first ones; the others get one of their own.
    """
    verdicts = [ExpectedVerdict(text, fits=True) for text in FIT]
    verdicts += [ExpectedVerdict(text, fits=False) for text in MISFIT]
    return [
        make_check(
            session,
            project,
            make_item(session, project, image=image, split=Split.VALIDATION, gold_rationales=()),
            verdicts,
            max_uses=max_uses,
            actor=None,
        )
        for image in [*images, *[None] * (n - len(images))]
    ]


def expected_of(session: Session, judgement: Judgement) -> set[int]:
    """The candidates that a check item expects to be picked."""
    return set(
        session.scalars(
            select(CheckCandidate.candidate_id)
            .join(RoundItem, RoundItem.check_item_id == CheckCandidate.check_item_id)
            .where(RoundItem.id == judgement.round_item_id, CheckCandidate.fits)
        )
    )


def is_check(session: Session, judgement: Judgement) -> bool:
    place = session.get_one(RoundItem, judgement.round_item_id)
    return place.purpose is Purpose.CHECK


Picker = Callable[[Judgement], Collection[int]]


def first_of(judgement: Judgement) -> Sequence[int]:
    return judgement.shown_order[:1]


def judge_some(
    session: Session, round_: Round, user: User, n: int, picks: Picker = first_of
) -> list[Judgement]:
    """Judge as a person does, one item after the other; returns what they submitted."""
    done = []
    for _ in range(n):
        judgement = opening.open_next_item(session, round_, user)
        if judgement is None:
            break
        picked = tuple(picks(judgement))
        says = {"picked": picked} if picked else {"none_fits": True}
        done.append(submit(session, judgement, **says))
    return done
