"""The question before the judging of a round is closed: what each policy would admit."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence, Share
from app.lifecycle import RoundItemState
from app.models import Project, Round
from app.queries.dataset.items import count_round_items
from app.round_settings import AdmissionSettings, LoopSettings
from app.services.admission.preview import AdmissionPreview, count_votes
from app.services.rounds.training_rows import count_written


@dataclass(frozen=True)
class PolicyLine:
    label: str
    is_chosen: bool
    preview: AdmissionPreview | None
    """None where people are not weighed yet."""


@dataclass(frozen=True)
class ClosePage:
    project: Project
    round: Round
    n_open: int
    n_done: int
    n_set_aside: int
    policies: Sequence[PolicyLine]
    chosen: AdmissionPreview | None
    n_written: int
    """Corrected texts that the training would read as well."""


def close_page(session: Session, project: Project, round_: Round) -> ClosePage:
    """Returns the page that shows what each policy would admit; the round's own one decides."""
    settings = LoopSettings.model_validate(round_.settings)
    counts = count_round_items(session, round_.id)
    lines = policy_lines(session, round_, settings)
    return ClosePage(
        project=project,
        round=round_,
        n_open=counts.get(RoundItemState.OPEN, 0) + counts.get(RoundItemState.WAITING, 0),
        n_done=counts.get(RoundItemState.DONE, 0),
        n_set_aside=counts.get(RoundItemState.SET_ASIDE, 0),
        policies=lines,
        chosen=next(line.preview for line in lines if line.is_chosen),
        n_written=count_written(session, round_, settings),
    )


def policy_lines(session: Session, round_: Round, settings: LoopSettings) -> list[PolicyLine]:
    """Returns what each policy would admit, votes counted once for all of them."""
    votes = count_votes(session, round_)
    return [
        PolicyLine(
            label,
            policy.policy == settings.admission.policy,
            None if policy.weighs_people else votes.preview(policy),
        )
        for policy, label in _policies(settings)
    ]


def _policies(settings: LoopSettings) -> list[tuple[AdmissionSettings, str]]:
    own = settings.admission
    policies: list[tuple[AdmissionSettings, str]] = [
        (AdmissionSettings(policy="any"), Sentence("Anybody says it fits")),
        (AdmissionSettings(policy="majority"), Sentence("Most say it fits")),
        (AdmissionSettings(policy="unanimous"), Sentence("All say it fits")),
    ]
    if own.policy == "at_least":
        policies.append((own, Sentence("At least %(n)s say it fits", n=own.threshold)))
    if settings.judging.judges.are_people:
        weighing = own.model_copy(update={"policy": "dawid_skene"})
        label = Sentence("Dawid–Skene at %(probability)s", probability=Share(own.probability))
        policies.append((weighing, label))
    return policies
