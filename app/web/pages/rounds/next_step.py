"""The first thing on a round's page: where it stands, and what there is to do now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.lifecycle import CLOSED_ROUND, Decision, RoundStatus
from app.models import Project, Round
from app.queries.admission.adjudications import has_undecided
from app.queries.judging.questions.reviews import MOST_COUNTED, count_waiting
from app.queries.rounds.progress import RoundProgress
from app.queries.rounds.rounds import find_last_round, has_unjudged_items
from app.round_settings import LoopSettings
from app.services.projects.projects import settings_of
from app.web.language.labels import word
from app.web.pages.rounds.forms import count_asked


@dataclass(frozen=True)
class RoundStep:
    """What to do now, and why. kind: of the notice (`ok`, `bad`, `info`); notes: what waits
    besides; aside: another way on, which is not the first; go_on: where another round can be
    started although the loop has ended."""

    title: str
    text: str
    kind: str = "info"
    link_label: str = ""
    link: str = ""
    notes: Sequence[str] = ()
    aside_label: str = ""
    aside: str = ""
    go_on: str = ""


def next_step(
    session: Session,
    project: Project,
    round_: Round,
    progress: RoundProgress,
    *,
    has_failed: bool,
    is_by_people: bool,
) -> RoundStep:
    """Returns what brings the round further, or, once it is closed, the project; and that questions
    of the model wait, in the newest round."""
    if round_.status in CLOSED_ROUND:
        is_newest = find_last_round(session, project.id) is round_
        if project.archived_at is not None or not is_newest:
            return _after_the_end(round_)
        return _with_questions(session, project, _lead_on(session, project, round_))
    step = _while_open(session, round_, progress, has_failed=has_failed, is_by_people=is_by_people)
    return _with_questions(session, project, step)


def _while_open(
    session: Session,
    round_: Round,
    progress: RoundProgress,
    *,
    has_failed: bool,
    is_by_people: bool,
) -> RoundStep:
    if has_failed:
        return RoundStep(
            Sentence("A run has failed"),
            Sentence("Its card below says why; a retry goes on where it stopped."),
            "bad",
        )
    if round_.status is RoundStatus.JUDGING:
        return _while_judging(session, round_, progress) if is_by_people else _CRITIC
    return _WORK[round_.status]


def _while_judging(session: Session, round_: Round, progress: RoundProgress) -> RoundStep:
    if not progress.n_open and not progress.n_waiting:
        admission = LoopSettings.model_validate(round_.settings).admission
        if admission.waits_for_adjudicators and has_undecided(session, round_.id):
            return RoundStep(
                Sentence("Everything is judged, and people differ"),
                Sentence("Where they do, only what an admin decides can be admitted."),
                link_label=Sentence("Decide where people differ"),
                link=f"/rounds/{round_.id}/adjudication",
            )
        if has_unjudged_items(session, round_.id):
            return RoundStep(
                Sentence("Everything to train on is judged"),
                Sentence(
                    "What is mixed in to measure people, or adapters, is not yet. Wait for it, or "
                    "close judging without it."
                ),
            )
        return RoundStep(
            Sentence("Everything is judged"),
            Sentence("Close judging: what fits is admitted, and training starts."),
        )
    return RoundStep(
        Sentence("People judge"),
        CountedSentence(
            "%(shown)s item waits for judgements. Close judging when enough is judged.",
            "%(shown)s items wait for judgements. Close judging when enough is judged.",
            n=progress.n_open,
            shown=Amount(progress.n_open),
        ),
    )


_CRITIC = RoundStep(
    Sentence("A critic judges"),
    Sentence("When it is done, what fits is admitted, and training starts."),
)

_WORK: Mapping[RoundStatus, RoundStep] = {
    RoundStatus.DRAFT: RoundStep(
        Sentence("Not started yet"), Sentence("Everything is set: start it.")
    ),
    RoundStatus.GENERATING: RoundStep(
        Sentence("The model writes rationales"),
        Sentence("Items can be judged as soon as their candidates are stored."),
    ),
    RoundStatus.CLOSING: RoundStep(
        Sentence("Judging is being closed"),
        Sentence("What fits by the policy is admitted, and the training is planned."),
    ),
    RoundStatus.TRAINING: RoundStep(
        Sentence("The model learns"),
        Sentence("The model is tuned on the admitted rationales."),
    ),
    RoundStatus.EVALUATING: RoundStep(
        Sentence("The model is measured"),
        Sentence("The new adapter answers and explains the held-out items."),
    ),
}
"""While the round is not started, or the machines have it: there is nothing to do but to wait."""


def _after_the_end(round_: Round) -> RoundStep:
    """Says why the round ended as it did."""
    title: str = Sentence("Cancelled")
    text: str = Sentence("What people submitted stays stored.")
    if round_.decision is not None:
        title, text = word(round_.decision), round_.decision_reason or ""
    kind = "ok" if round_.decision in {Decision.CONTINUE, Decision.ALL_COVERED} else "info"
    return RoundStep(title, text, kind)


def _lead_on(session: Session, project: Project, round_: Round) -> RoundStep:
    """Leads on from the newest round, and says about how many images the next one asks."""
    step, base = _after_the_end(round_), f"/projects/{project.slug}"
    if round_.decision is not Decision.CONTINUE and round_.status is not RoundStatus.CANCELLED:
        return replace(
            step,
            link_label=Sentence("Make a release"),
            link=f"{base}/releases",
            go_on=f"{base}/rounds/new",
        )
    n_asked = count_asked(session, project, settings_of(project))
    note = CountedSentence(
        "%(shown)s train image has no question yet; the next round asks about it.",
        "%(shown)s train images have no question yet; the next round asks about them.",
        n=n_asked,
        shown=Amount(n_asked),
    )
    return replace(
        step,
        link_label=Sentence("Look at the next round"),
        link=f"{base}/rounds/new",
        notes=(note,) if n_asked else (),
    )


def _with_questions(session: Session, project: Project, step: RoundStep) -> RoundStep:
    """Adds that questions of the model wait for people, and the way to them."""
    n_images = count_waiting(session, project.id)
    if not n_images or project.archived_at is not None:
        return step
    shown = Amount(n_images)
    note = CountedSentence(
        "Questions of the model about %(shown)s image wait; what people keep becomes items, which "
        "the next round samples.",
        "Questions of the model about %(shown)s images wait; what people keep becomes items, which "
        "the next round samples.",
        n=n_images,
        shown=Sentence("%(n)s or more", n=shown) if n_images >= MOST_COUNTED else shown,
    )
    return replace(
        step,
        notes=(*step.notes, note),
        aside_label=Sentence("Decide on questions"),
        aside=f"/projects/{project.slug}/questions",
    )
