"""The pages of a project: its overview, the list and the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import (
    JUDGEABLE_ROUND,
    Decision,
    RoundStatus,
    Split,
)
from app.models import Project, Round, Score
from app.queries.dataset.pictures import count_alone
from app.queries.dataset.prior import PriorCount, count_prior
from app.queries.judging.questions.reviews import count_waiting
from app.queries.projects import overview
from app.queries.projects.projects import (
    SplitCount,
    count_items_by_split,
)
from app.queries.rounds.rounds import list_rounds
from app.round_settings import PEOPLE, Judges, LoopSettings
from app.run_results import RoundFigures
from app.services.projects.projects import settings_of
from app.web.pages.projects.next_step import NextStep, find_open, next_step
from app.web.render.charts import Chart, line_chart
from app.web.render.guidelines_text import render_guidelines


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
    n_question_images: int
    """Images with questions of the model that wait for people; none of an archived project."""


@dataclass(frozen=True)
class MemberProjectPage:
    """For annotators: what to do and how, and nobody's answers."""

    project: Project
    guidelines: str
    open_round: Round | None
    can_judge: bool
    n_question_images: int


def member_project_page(session: Session, project: Project) -> MemberProjectPage:
    open_round = find_open(list_rounds(session, project.id))
    return MemberProjectPage(
        project=project,
        guidelines=render_guidelines(session, project),
        open_round=open_round,
        can_judge=open_round is not None and open_round.status in JUDGEABLE_ROUND,
        n_question_images=_count_question_images(session, project),
    )


def _count_question_images(session: Session, project: Project) -> int:
    return 0 if project.archived_at is not None else count_waiting(session, project.id)


def project_page(session: Session, project: Project) -> ProjectPage:
    rounds = list_rounds(session, project.id)
    splits = count_items_by_split(session, project.id)
    alone = count_alone(session, project.id)
    n_question_images = _count_question_images(session, project)
    scores = _by_round(overview.list_scores_by_round(session, project.id))
    lines = [_base_line(scores.get(0, {}))] if scores.get(0) else []
    lines += [_round_line(round_, scores.get(round_.number, {})) for round_ in rounds]
    return ProjectPage(
        project=project,
        counts=overview.count_project(session, project.id),
        splits=splits,
        prior=count_prior(session, project.id),
        alone=alone,
        next_step=next_step(
            session,
            project,
            rounds,
            splits,
            alone.get(Split.TRAIN, 0),
            asked=n_question_images > 0,
        ),
        rounds=lines,
        chart=_chart(lines),
        judged_by=_judged_by(project, rounds),
        n_question_images=n_question_images,
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
    # Each by itself: answers are measured where the critic can judge no rationale.
    fit, fit_name = points("test_fit"), Sentence("test rationales that fit")
    if not fit:
        fit, fit_name = points("validation_fit"), Sentence("validation rationales that fit")
    accuracy, accuracy_name = points("test_accuracy"), Sentence("test answers right")
    if not accuracy:
        accuracy = points("validation_accuracy")
        accuracy_name = Sentence("validation answers right")
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
