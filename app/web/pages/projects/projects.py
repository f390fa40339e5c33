"""The pages of a project: its overview, the list and the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import (
    CLOSED_ROUND,
    JUDGEABLE_ROUND,
    Decision,
    RoundStatus,
    Split,
)
from app.models import Project, Round, Score
from app.queries.dataset.pictures import count_alone
from app.queries.dataset.prior import PriorCount, count_prior
from app.queries.projects import overview
from app.queries.projects.projects import (
    SplitCount,
    count_items_by_split,
)
from app.queries.rounds.rounds import find_failed_run, list_rounds
from app.round_settings import PEOPLE, Judges, LoopSettings
from app.run_results import RoundFigures
from app.services.projects.projects import settings_of
from app.strategies import get_strategy
from app.web.render.charts import Chart, line_chart
from app.web.render.guidelines_text import render_guidelines


@dataclass(frozen=True)
class NextStep:
    """The one thing that brings the project further now."""

    title: str
    text: str
    label: str
    url: str
    is_problem: bool = False


@dataclass(frozen=True)
class RoundLine:
    """A round in the table; the base model before any round has number 0."""

    number: int
    id: int | None
    status: RoundStatus | None
    decision: Decision | None
    reason: str
    figures: RoundFigures | None
    """None for the base model and before the round is decided."""
    validation_fit: Score | None
    validation_accuracy: Score | None
    test_fit: Score | None
    test_accuracy: Score | None

    @property
    def covered_share(self) -> float | None:
        return self.figures.covered_share if self.figures else None


@dataclass(frozen=True)
class ProjectPage:
    project: Project
    counts: overview.ProjectCounts
    splits: Sequence[SplitCount]
    prior: PriorCount
    alone: Mapping[Split, int]
    """Images that nobody has asked about."""
    next_step: NextStep
    rounds: Sequence[RoundLine]
    chart: Chart | None
    judged_by: str


@dataclass(frozen=True)
class MemberProjectPage:
    """For annotators: what to do and how, and nobody's answers."""

    project: Project
    guidelines: str
    open_round: Round | None
    can_judge: bool


def member_project_page(session: Session, project: Project) -> MemberProjectPage:
    open_round = _open_round(list_rounds(session, project.id))
    return MemberProjectPage(
        project=project,
        guidelines=render_guidelines(session, project),
        open_round=open_round,
        can_judge=open_round is not None and open_round.status in JUDGEABLE_ROUND,
    )


def project_page(session: Session, project: Project) -> ProjectPage:
    rounds = list_rounds(session, project.id)
    splits = count_items_by_split(session, project.id)
    alone = count_alone(session, project.id)
    scores = _by_round(overview.list_scores_by_round(session, project.id))
    lines = [_base_line(scores.get(0, {}))] if scores.get(0) else []
    lines += [_round_line(round_, scores.get(round_.number, {})) for round_ in rounds]
    return ProjectPage(
        project=project,
        counts=overview.count_project(session, project.id),
        splits=splits,
        prior=count_prior(session, project.id),
        alone=alone,
        next_step=_next_step(session, project, rounds, splits, alone.get(Split.TRAIN, 0)),
        rounds=lines,
        chart=_chart(lines),
        judged_by=_judged_by(project, rounds),
    )


def _judged_by(project: Project, rounds: Sequence[Round]) -> Sentence:
    """Returns who judged the listed rounds, by their own settings; without any, who will."""
    judges: dict[Judges, list[str]] = {}
    for round_ in rounds:
        settings = LoopSettings.model_validate(round_.settings)
        # A round that trains on gold rationales, or on the prior, is judged by nobody.
        if not settings.training.waits_for_nobody:
            judges.setdefault(settings.judging.judges, []).append(str(round_.number))
    judges = judges or {settings_of(project).judging.judges: []}
    by_people = judges.pop(PEOPLE, None)
    critics = ", ".join(judges)
    if by_people is None:
        return Sentence("Judged by %(critic)s", critic=critics)
    if not judges:
        return Sentence("Judged by people")
    return Sentence(
        "Judged by people in rounds %(numbers)s, by %(critic)s in rounds %(others)s",
        numbers=", ".join(by_people),
        critic=critics,
        others=", ".join(number for numbers in judges.values() for number in numbers),
    )


ScoresByName = Mapping[tuple[Split, str], Score]


def _by_round(scores: Sequence[overview.RoundScore]) -> dict[int, dict[tuple[Split, str], Score]]:
    found: dict[int, dict[tuple[Split, str], Score]] = {}
    for entry in scores:
        found.setdefault(entry.round_number, {})[entry.score.split, entry.score.name] = entry.score
    return found


def _base_line(scores: ScoresByName) -> RoundLine:
    return RoundLine(
        number=0,
        id=None,
        status=None,
        decision=None,
        reason="",
        figures=None,
        **_scores(scores),
    )


def _round_line(round_: Round, scores: ScoresByName) -> RoundLine:
    return RoundLine(
        number=round_.number,
        id=round_.id,
        status=round_.status,
        decision=round_.decision,
        reason=round_.decision_reason or "",
        figures=RoundFigures.find(round_.figures),
        **_scores(scores),
    )


def _scores(scores: ScoresByName) -> dict[str, Score | None]:
    return {
        "validation_fit": scores.get((Split.VALIDATION, "fit")),
        "validation_accuracy": scores.get((Split.VALIDATION, "answer_accuracy")),
        "test_fit": scores.get((Split.TEST, "fit")),
        "test_accuracy": scores.get((Split.TEST, "answer_accuracy")),
    }


def _chart(lines: Sequence[RoundLine]) -> Chart | None:
    """Drawn once there are two things to compare."""
    if len(lines) < 2:
        return None

    def points(name: str) -> list[tuple[float, float]]:
        values = [(line.number, getattr(line, name)) for line in lines]
        return [
            (number, value.value if isinstance(value, Score) else value)
            for number, value in values
            if value is not None
        ]

    covered = points("covered_share")
    if covered and lines[0].number == 0:
        covered = [(0, 0.0), *covered]  # before the first round nothing is
    fit = points("test_fit") or points("validation_fit")
    accuracy = points("test_accuracy") or points("validation_accuracy")
    fit_name, accuracy_name = (
        (Sentence("test rationales that fit"), Sentence("test answers right"))
        if points("test_fit")
        else (Sentence("validation rationales that fit"), Sentence("validation answers right"))
    )
    return line_chart(
        Sentence("What each round brought"),
        [
            (Sentence("train items covered"), covered),
            (fit_name, fit),
            (accuracy_name, accuracy),
        ],
        x_label=Sentence("by round; 0 is the base model"),
        as_percent=True,
        with_dots=True,
    )


def _open_round(rounds: Sequence[Round]) -> Round | None:
    return next((round_ for round_ in rounds if round_.status not in CLOSED_ROUND), None)


def _next_step(
    session: Session,
    project: Project,
    rounds: Sequence[Round],
    splits: Sequence[SplitCount],
    n_alone: int,
) -> NextStep:
    base = f"/projects/{project.slug}"
    n_train = next(
        split.n_items - split.n_excluded for split in splits if split.split is Split.TRAIN
    )
    open_round = _open_round(rounds)
    if open_round is not None:
        return _step_of_open_round(session, project, open_round)
    if n_train == 0 and n_alone:
        return _step_of_images_alone(project, n_alone)
    if n_train == 0:
        return NextStep(
            Sentence("Bring the data"),
            Sentence(
                "Images with questions and answers. The items of the split “train” are what people "
                "judge and the model learns from; validation and test items measure it."
            ),
            Sentence("Import a dataset"),
            f"{base}/imports",
        )
    if not rounds:
        return NextStep(
            Sentence("Start the first round"),
            Sentence(
                "The model writes candidate rationales, people pick those that fit, and the model "
                "is tuned on what they picked."
            ),
            Sentence("Look at round 1"),
            f"{base}/rounds/new",
        )
    last = rounds[-1]
    if last.status is RoundStatus.CANCELLED or last.decision is Decision.CONTINUE:
        cancelled = Sentence("Round %(number)s was cancelled.", number=last.number)
        return NextStep(
            Sentence("Start the next round"),
            last.decision_reason or cancelled,
            Sentence("Look at the next round"),
            f"{base}/rounds/new",
        )
    return NextStep(
        Sentence("The loop has ended: release the dataset"),
        last.decision_reason or "",
        Sentence("Make a release"),
        f"{base}/releases",
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
