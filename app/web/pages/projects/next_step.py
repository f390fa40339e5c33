"""The first thing on a project's page: what brings it further now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import CLOSED_ROUND, Decision, RoundStatus, Split
from app.models import Project, Round
from app.queries.projects import overview
from app.queries.projects.projects import SplitCount
from app.queries.rounds.rounds import find_failed_run
from app.run_results import RoundFigures
from app.services.projects.projects import settings_of
from app.services.rounds.decision import can_go_on
from app.strategies import get_strategy


@dataclass(frozen=True)
class NextStep:
    """The one thing that brings the project further now."""

    title: str
    text: str
    label: str
    url: str
    is_problem: bool = False
    note: str = ""
    """What the next round does besides."""
    go_on: str = ""
    """Where another round can be started although the loop has ended: settings or data may have
    changed since."""


def find_open(rounds: Sequence[Round]) -> Round | None:
    """Returns the round of a project that is not over; there is one at most."""
    return next((round_ for round_ in rounds if round_.status not in CLOSED_ROUND), None)


def next_step(
    session: Session,
    project: Project,
    rounds: Sequence[Round],
    splits: Sequence[SplitCount],
    n_alone: int,
    *,
    asked: bool,
) -> NextStep:
    """Returns what brings the project further. n_alone: its train images without items; asked:
    whether questions of the model wait for people."""
    base = f"/projects/{project.slug}"
    n_train = next(
        split.n_items - split.n_excluded for split in splits if split.split is Split.TRAIN
    )
    open_round = find_open(rounds)
    if open_round is not None:
        return _step_of_open_round(session, project, open_round)
    if n_train == 0:
        return _step_without_items(project, n_alone, asked=asked)
    note = _note_of_images_alone(project, n_alone)
    if not rounds:
        return NextStep(
            Sentence("Start the first round"),
            Sentence(
                "The model writes candidate rationales, people pick those that fit, and the model "
                "is tuned on what they picked."
            ),
            Sentence("Look at round 1"),
            f"{base}/rounds/new",
            note=note,
        )
    last = rounds[-1]
    if last.status is RoundStatus.CANCELLED or last.decision is Decision.CONTINUE:
        cancelled = Sentence("Round %(number)s was cancelled.", number=last.number)
        figures = RoundFigures.find(last.figures)
        if asked and figures and not can_go_on(figures):
            return replace(
                _STEP_OF_QUESTIONS, text=last.decision_reason or "", url=f"{base}/questions"
            )
        return NextStep(
            Sentence("Start the next round"),
            last.decision_reason or cancelled,
            Sentence("Look at the next round"),
            f"{base}/rounds/new",
            note=note,
        )
    return NextStep(
        Sentence("The loop has ended: release the dataset"),
        last.decision_reason or "",
        Sentence("Make a release"),
        f"{base}/releases",
        go_on=f"{base}/rounds/new",
    )


_STEP_OF_QUESTIONS = NextStep(
    Sentence("The model asked questions"),
    Sentence("What people keep of them becomes the items that the next round samples."),
    Sentence("Decide on them"),
    url="",
)


def _note_of_images_alone(project: Project, n_alone: int) -> str:
    """Says that rounds ask about images besides, where they do."""
    asks = any(get_strategy(name).asks_about_images for name in settings_of(project).shares)
    if not asks or not n_alone:
        return ""
    return CountedSentence(
        "%(n)s train image has no question yet; rounds let the model ask about it.",
        "%(n)s train images have no question yet; rounds let the model ask about them.",
        n=n_alone,
    )


def _step_of_images_alone(project: Project, n_alone: int) -> NextStep:
    """There is nothing to judge, but there are images that the model can ask about."""
    base = f"/projects/{project.slug}"
    if any(get_strategy(name).asks_about_images for name in settings_of(project).shares):
        return NextStep(
            Sentence("Let the model ask"),
            CountedSentence(
                "%(n)s train image has no question yet. In a round the model asks about it; the "
                "questions that are kept become items.",
                "%(n)s train images have no question yet. In a round the model asks about them; "
                "the questions that are kept become items.",
                n=n_alone,
            ),
            Sentence("Look at the next round"),
            f"{base}/rounds/new",
        )
    return NextStep(
        Sentence("Let the model ask, or bring questions"),
        CountedSentence(
            "%(n)s train image has no question yet. The strategy self_questioning asks about it; "
            "choose it in the settings, or import questions and answers.",
            "%(n)s train images have no question yet. The strategy self_questioning asks about "
            "them; choose it in the settings, or import questions and answers.",
            n=n_alone,
        ),
        Sentence("Open the settings"),
        f"{base}/settings",
    )


def _step_without_items(project: Project, n_alone: int, *, asked: bool) -> NextStep:
    base = f"/projects/{project.slug}"
    if asked:
        return replace(_STEP_OF_QUESTIONS, url=f"{base}/questions")
    if n_alone:
        return _step_of_images_alone(project, n_alone)
    return NextStep(
        Sentence("Bring the data"),
        Sentence(
            "Images with questions and answers. The items of the split “train” are what people "
            "judge and the model learns from; validation and test items measure it."
        ),
        Sentence("Import a dataset"),
        f"{base}/imports",
    )


def _step_of_open_round(session: Session, project: Project, round_: Round) -> NextStep:
    number, url = round_.number, f"/rounds/{round_.id}"
    if find_failed_run(session, round_.id) is not None:
        return NextStep(
            Sentence("Round %(number)s needs you", number=number),
            Sentence("A run has failed. Its page says why; a retry goes on where it stopped."),
            Sentence("See what failed"),
            url,
            is_problem=True,
        )
    if round_.status is RoundStatus.JUDGING:
        waits = Sentence("Round %(number)s waits for judgements", number=number)
        if overview.count_annotators(session, project.id) < 2:
            return NextStep(
                waits,
                Sentence(
                    "Fewer than two people are members: make an invite link, or judge yourself."
                ),
                Sentence("Invite annotators"),
                f"/projects/{project.slug}/members",
            )
        return NextStep(
            waits,
            Sentence("People pick the rationales that fit. Close judging when enough is judged."),
            Sentence("Watch the round"),
            url,
        )
    return _step_of_work(round_.status, number, url)


def _step_of_work(status: RoundStatus, number: int, url: str) -> NextStep:
    """While the round is not started, or the machines have it."""
    watch = Sentence("Watch the round")
    if status is RoundStatus.GENERATING:
        title = Sentence("Round %(number)s is being sampled", number=number)
        text = Sentence("Items can be judged as soon as their candidates are stored.")
    elif status is RoundStatus.CLOSING:
        title = Sentence("Round %(number)s is being closed", number=number)
        text = Sentence("What fits by the policy is admitted, and the training is planned.")
    elif status is RoundStatus.TRAINING:
        title = Sentence("Round %(number)s trains the model", number=number)
        text = Sentence("The model is tuned on the admitted rationales.")
    elif status is RoundStatus.EVALUATING:
        title = Sentence("Round %(number)s is being evaluated", number=number)
        text = Sentence("The new adapter answers and explains the held-out items.")
    else:
        title = Sentence("Round %(number)s is not started yet", number=number)
        text = Sentence("Everything is set: start it.")
        watch = Sentence("Open the round")
    return NextStep(title, text, watch, url)
