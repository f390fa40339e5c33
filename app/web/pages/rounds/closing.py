"""The question before the judging of a round is closed: what each policy would admit."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence, Share
from app.lifecycle import RoundItemState
from app.models import Project, Round
from app.queries.admission.tallies import count_submitted
from app.queries.dataset.items import count_round_items
from app.round_settings import AdmissionSettings, LoopSettings
from app.services.admission.preview import AdmissionPreview, count_votes, list_policies
from app.services.rounds.training_rows import count_written
from app.web.pages.quality.adjudication import Progress, find_progress
from app.web.pages.rounds.policies import Trials, find_trials


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
    trials: Trials
    can_weigh: bool
    """Whether people can be weighed now: some have judged, and what is stored is not of these
    votes."""
    chosen: AdmissionPreview | None
    adjudication: Progress
    n_written: int
    """Corrected texts that the training would read as well."""


def close_page(session: Session, project: Project, round_: Round) -> ClosePage:
    """Returns the page that shows what each policy would admit; the round's own one decides."""
    settings = LoopSettings.model_validate(round_.settings)
    counts = count_round_items(session, round_.id)
    trials = find_trials(session, round_)
    lines = _policy_lines(session, round_, settings, trials)
    return ClosePage(
        project=project,
        round=round_,
        n_open=counts.get(RoundItemState.OPEN, 0) + counts.get(RoundItemState.WAITING, 0),
        n_done=counts.get(RoundItemState.DONE, 0),
        n_set_aside=counts.get(RoundItemState.SET_ASIDE, 0),
        policies=lines,
        trials=trials,
        can_weigh=(
            settings.judging.judges.are_people
            and not trials.is_live
            and not trials.is_fresh
            and count_submitted(session, round_.id) > 0
        ),
        chosen=next(line.preview for line in lines if line.is_chosen),
        adjudication=find_progress(session, round_),
        n_written=count_written(session, round_, settings),
    )


def _policy_lines(
    session: Session, round_: Round, settings: LoopSettings, trials: Trials
) -> list[PolicyLine]:
    """Returns what each policy would admit: as stored where nothing was judged since then, else
    votes are counted once for all policies that count. People are weighed by a job only."""
    found = trials.found
    policies = list_policies(settings)
    is_fresh = (
        found is not None
        and trials.is_fresh
        and all(found.find_trial(policy.name) for policy in policies)
    )
    votes = None if is_fresh else count_votes(session, round_)
    lines = []
    for policy in policies:
        trial = found.find_trial(policy.name) if found else None
        if votes is not None and not policy.weighs_people:
            preview: AdmissionPreview | None = votes.preview(policy)
        elif trial is not None and found is not None:
            preview = AdmissionPreview(trial.n_rationales, trial.n_items, found.n_judged_items)
        else:
            preview = None
        is_chosen = policy.name == settings.admission.name
        lines.append(PolicyLine(_label(policy), is_chosen, preview))
    return lines


def _label(policy: AdmissionSettings) -> str:
    match policy.policy:
        case "any":
            return Sentence("Anybody says it fits")
        case "majority":
            return Sentence("Most say it fits")
        case "unanimous":
            return Sentence("All say it fits")
        case "adjudicated":
            return Sentence("All say it fits or, where they differ, an adjudicator")
        case "at_least":
            return Sentence("At least %(n)s say it fits", n=policy.threshold)
        case "dawid_skene":
            return Sentence("Dawid–Skene at %(probability)s", probability=Share(policy.probability))
