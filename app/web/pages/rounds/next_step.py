"""The first thing on a round's page: where it stands, and what there is to do now."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.lifecycle import CLOSED_ROUND, Decision, RoundStatus
from app.models import Project, Round
from app.queries.admission.adjudications import has_undecided
from app.queries.rounds.progress import RoundProgress
from app.queries.rounds.rounds import find_last_round, has_unjudged_items
from app.round_settings import LoopSettings
from app.web.language.labels import word


@dataclass(frozen=True)
class RoundStep:
    """What to do now, and why. kind: of the notice (`ok`, `bad`, `info`)."""

    title: str
    text: str
    kind: str = "info"
    link_label: str = ""
    link: str = ""


def next_step(
    session: Session,
    project: Project,
    round_: Round,
    progress: RoundProgress,
    *,
    has_failed: bool,
    is_by_people: bool,
) -> RoundStep:
    """Returns what brings the round further, or, once it is closed, the project."""
    if round_.status in CLOSED_ROUND:
        return _after_the_end(session, project, round_)
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


def _after_the_end(session: Session, project: Project, round_: Round) -> RoundStep:
    """Says why the round ended as it did, and leads on where no other round came after it."""
    goes_on = round_.decision is Decision.CONTINUE or round_.status is RoundStatus.CANCELLED
    title: str = Sentence("Cancelled")
    text: str = Sentence("What people submitted stays stored.")
    if round_.decision is not None:
        title, text = word(round_.decision), round_.decision_reason or ""
    kind = "ok" if round_.decision in {Decision.CONTINUE, Decision.ALL_COVERED} else "info"
    if project.archived_at is not None or find_last_round(session, project.id) is not round_:
        return RoundStep(title, text, kind)
    base = f"/projects/{project.slug}"
    if goes_on:
        return RoundStep(
            title, text, kind, Sentence("Look at the next round"), f"{base}/rounds/new"
        )
    return RoundStep(title, text, kind, Sentence("Make a release"), f"{base}/releases")
