"""Images that a model asked about, with questions that people decide on."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import (
    AskedImage,
    AskedQuestion,
    Image,
    Item,
    Project,
    QuestionReview,
    Round,
    Run,
    RunShard,
    User,
)
from app.opinions import QuestionChoices
from app.round_settings import LoopSettings
from app.services.judging.questions import deciding, handing_out
from app.services.rounds.questions import Inquiry, ProposedQuestion, store_inquiries
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)

DESCRIPTION = "a dog on a red sofa"
QUESTIONS = (("what color is the sofa?", "red"), ("is the dog asleep?", "yes"))


class AskedRound:
    """A round that people judge, with a member, whose images a model asked about."""

    def __init__(
        self,
        session: Session,
        project: Project | None = None,
        *,
        n_images: int = 1,
        number: int = 1,
        settings: LoopSettings | None = None,
        images: Sequence[Image] = (),
    ) -> None:
        self.session = session
        self.project = project or make_project(session)
        self.round: Round = make_round(
            session, self.project, number=number, status=RoundStatus.JUDGING, settings=settings
        )
        self.run: Run = make_run(session, self.project, Job.GENERATE, round_=self.round)
        self.run.status, self.run.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
        self.items: list[Item] = []
        for place in range(n_images):
            image = images[place] if images else None
            self.items.append(make_item(session, self.project, image=image))
            make_round_item(session, self.round, self.items[-1])

    def ask(
        self, place: int = 0, questions: Sequence[tuple[str, str | None]] = QUESTIONS
    ) -> AskedImage:
        """Store questions, with the model's answers, about the image of an item of the round."""
        return store_questions(self.session, self.run, self.items[place], questions)

    def add_member(self) -> User:
        user = make_user(self.session)
        make_membership(self.session, self.project, user)
        return user

    def questions(self) -> dict[str, AskedQuestion]:
        """All questions of the project, as they stand now, by what the model asked."""
        self.session.flush()
        self.session.expire_all()
        found = self.session.scalars(
            select(AskedQuestion).where(AskedQuestion.project_id == self.project.id)
        )
        return {one.text: one for one in found}

    def made_items(self) -> list[Item]:
        """The items that were made of questions."""
        return list(
            self.session.scalars(
                select(Item)
                .where(Item.project_id == self.project.id, Item.external_id.startswith("asked-"))
                .order_by(Item.id)
            )
        )


def store_questions(
    session: Session,
    run: Run,
    item: Item,
    questions: Sequence[tuple[str, str | None]] = QUESTIONS,
) -> AskedImage:
    """Store questions, with the model's answers, about the image of an item, as a run drew them."""
    shard = RunShard(run_id=run.id, number=item.id, item_ids=[item.id])
    session.add(shard)
    session.flush()
    store_inquiries(
        session,
        run=run,
        shard_id=shard.id,
        attempt=shard.attempt,
        inquiries=[
            Inquiry(
                image_sha256=item.image_sha256,
                description=DESCRIPTION,
                questions=[
                    ProposedQuestion(text, len(questions) - n, 7, -1.5, answer)
                    for n, (text, answer) in enumerate(questions)
                ],
                n_drawn=5,
            )
        ],
        adapter_id=None,
        temperature=0.7,
    )
    return session.scalars(
        select(AskedImage).where(
            AskedImage.run_id == run.id, AskedImage.image_sha256 == item.image_sha256
        )
    ).one()


def open_image(
    session: Session, project: Project, user: User, *, now: datetime | None = None
) -> QuestionReview:
    """Reserve the next image with questions, of which there must be one."""
    review = handing_out.open_next(session, project, user, now=now)
    assert review is not None
    return review


def choose(
    session: Session,
    review: QuestionReview,
    *,
    keep: Sequence[str] = (),
    edits: dict[str, str] | None = None,
    answers: dict[str, str] | None = None,
    faults: dict[str, tuple[str, ...]] | None = None,
    drops_all: bool = False,
) -> QuestionChoices:
    """Returns choices about the questions of a review, which are named by their texts."""
    ids = {
        one.text: one.id
        for one in session.scalars(
            select(AskedQuestion).where(AskedQuestion.asked_image_id == review.asked_image_id)
        )
    }
    return QuestionChoices(
        kept=tuple(ids[text] for text in keep),
        drops_all=drops_all,
        faults={ids[text]: names for text, names in (faults or {}).items()},
        edits={ids[text]: words for text, words in (edits or {}).items()},
        answers={ids[text]: words for text, words in (answers or {}).items()},
    )


def submit(
    session: Session,
    review: QuestionReview,
    choices: QuestionChoices,
    *,
    active_ms: int = 0,
    now: datetime | None = None,
) -> None:
    held = handing_out.hold(session, review)
    deciding.submit(session, held, choices, version=review.version, active_ms=active_ms, now=now)
