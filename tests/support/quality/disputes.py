"""Rounds in which people differ, for tests of adjudication."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.models import Image, Project, Round, User
from app.round_settings import AdmissionSettings, JudgingSettings, LoopSettings
from app.services.admission.adjudication import adjudicate, find_dispute
from tests.support.factories import make_item, make_round, make_round_item
from tests.support.judging import TEXTS, make_people, open_item, submit

SETTINGS = LoopSettings(
    judging=JudgingSettings(overlap=3),
    admission=AdmissionSettings(policy="adjudicated"),
    auto_advance=False,
)


def make_disputed_round(
    session: Session,
    project: Project,
    *,
    n_items: int = 3,
    texts: Sequence[str] = TEXTS,
    images: Sequence[Image] = (),
    people: Sequence[User] = (),
) -> Round:
    """A round whose items three people judged: all pick the first text, two the second with a fault
    named by the other one, one the third, nobody the rest.

    images: of the first items; the others get one of their own.
    """
    round_ = make_round(session, project, settings=SETTINGS)
    for number in range(n_items):
        image = images[number] if number < len(images) else None
        item = make_item(session, project, image=image)
        make_round_item(session, round_, item, texts=texts, slots=3)
    everybody = people or make_people(session, 3)
    for user in everybody:
        for _ in range(n_items):
            judgement = open_item(session, round_, user)
            first, second, third, *_ = sorted(judgement.shown_order)
            if user is everybody[2]:
                faults = {second: ["wrong_about_image"]}
                submit(session, judgement, picked=[first, third], faults=faults)
            else:
                submit(session, judgement, picked=[first, second])
    session.flush()  # the last one is done
    session.expire_all()
    return round_


def decide_item(session: Session, round_: Round, item_id: int, user: User, *fits: bool) -> None:
    """Decide what people differ on of an item, in the order of the candidates."""
    dispute = find_dispute(session, round_, item_id, user)
    asked = sorted(dispute.open_to_decision)
    decisions = dict(zip(asked, fits, strict=True))
    adjudicate(session, round_, item_id, decisions, version=dispute.version, actor=user)
