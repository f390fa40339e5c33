"""What each policy would admit, as it was last tried on a round's votes, and where two differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.lifecycle import LIVE_RUN, Job
from app.models import Item, Project, Round
from app.policy_trials import AdmissionTrials, PolicyDifference, PolicyTrial
from app.queries.admission import tallies as queries
from app.queries.admission.adjudications import count_decisions
from app.queries.admission.tallies import TalliedCandidate
from app.queries.runs.runs import find_latest_run
from app.round_settings import AdmissionSettings, LoopSettings
from app.services.admission.preview import list_policies, rule_of
from app.web.language.labels import policy_words
from app.web.pages.quality.adjudication import Progress, find_progress


@dataclass(frozen=True)
class Trials:
    """What every policy would admit, and how old that is."""

    round_id: int
    lines: Sequence[tuple[str, PolicyTrial]]
    """Each with the words for its policy; that of the round comes first."""
    found: AdmissionTrials | None
    """None where policies were never tried."""
    at: datetime | None
    n_since: int
    """Judgements that were submitted, or taken back, after that."""
    is_live: bool
    """Whether they are being tried right now."""
    is_decided_since: bool = False
    """Whether adjudicators decided, or took back, something after that."""

    @property
    def is_fresh(self) -> bool:
        """Whether it is of the votes and decisions that there are now."""
        return self.found is not None and not self.n_since and not self.is_decided_since


def find_trials(session: Session, round_: Round) -> Trials:
    """Returns what is stored of the policies that were tried on a round."""
    stored = queries.find_trials(session, round_.id)
    run = find_latest_run(session, round_.id, Job.ASSESS)
    is_live = run is not None and run.status in LIVE_RUN
    if stored is None:
        return Trials(round_.id, (), None, None, 0, is_live)
    found = AdmissionTrials.read(stored.figures)
    own = LoopSettings.model_validate(round_.settings).admission.name
    n_decisions, decided_at = count_decisions(session, round_.id)
    policies = sorted(found.policies, key=lambda trial: trial.policy != own)
    return Trials(
        round_id=round_.id,
        lines=[(policy_words(trial.policy), trial) for trial in policies],
        found=found,
        at=stored.at,
        n_since=abs(queries.count_submitted(session, round_.id) - found.n_submitted),
        is_live=is_live,
        is_decided_since=(n_decisions, decided_at) != (found.n_decisions, found.decided_at),
    )


# --- Two policies ---------------------------------------------------------------------------


@dataclass(frozen=True)
class DifferingCandidate:
    """A rationale on which two policies differ, and which of them admits it."""

    tally: TalliedCandidate
    admitted_by: str


@dataclass(frozen=True)
class DifferingItem:
    item: Item
    candidates: Sequence[DifferingCandidate]


@dataclass(frozen=True)
class PoliciesPage:
    """Two policies beside each other, and the rationales that only one of them admits."""

    project: Project
    round: Round
    trials: Trials
    choices: Sequence[tuple[str, str]]
    one: str
    other: str
    one_words: str
    other_words: str
    difference: PolicyDifference | None
    """None where the two are the same, or were not tried."""
    items: Sequence[DifferingItem]
    adjudication: Progress
    first_url: str
    """Nothing on the first page."""
    next_url: str


def policies_page(  # noqa: PLR0917 - what the address says
    session: Session, project: Project, round_: Round, one: str, other: str, after: int
) -> PoliciesPage:
    """Returns the page that compares two policies; those that were not tried are passed over, for
    the round's own and one that weighs people."""
    settings = LoopSettings.model_validate(round_.settings)
    trials = find_trials(session, round_)
    found = {trial.policy for _, trial in trials.lines}
    tried = {policy.name: policy for policy in list_policies(settings) if policy.name in found}
    one, other = _choose(tried, settings.admission.name, one, other)
    difference: PolicyDifference | None = None
    items: list[DifferingItem] = []
    has_more = False
    if trials.found and one != other:
        difference = _difference(trials.found, one, other)
        items, has_more = _differing(session, round_, tried[one], tried[other], after)
    base = f"/rounds/{round_.id}/policies?"
    query = {"one": one, "other": other}
    return PoliciesPage(
        project=project,
        round=round_,
        trials=trials,
        choices=[(name, policy_words(name)) for name in tried],
        one=one,
        other=other,
        one_words=policy_words(one),
        other_words=policy_words(other),
        difference=difference,
        items=items,
        adjudication=find_progress(session, round_),
        first_url=base + urlencode(query) if after else "",
        next_url=base + urlencode(query | {"after": items[-1].item.id}) if has_more else "",
    )


def _choose(
    tried: Mapping[str, AdmissionSettings], own: str, one: str, other: str
) -> tuple[str, str]:
    if one not in tried:
        one = own if own in tried else next(iter(tried), "")
    if other not in tried:
        weighed = [name for name, policy in tried.items() if policy.weighs_people]
        other = next((name for name in [*weighed, "majority"] if name != one), one)
    return one, other


def _difference(found: AdmissionTrials, one: str, other: str) -> PolicyDifference | None:
    if (forwards := found.find_difference(one, other)) is not None:
        return forwards
    backwards = found.find_difference(other, one)
    return backwards.turned() if backwards else None


def _differing(
    session: Session, round_: Round, one: AdmissionSettings, other: AdmissionSettings, after: int
) -> tuple[list[DifferingItem], bool]:
    rule = rule_of(one)
    found = queries.list_differing(
        session, round_.id, rule, rule_of(other), after=after, limit=queries.PAGE_SIZE + 1
    )
    items = [
        DifferingItem(
            item,
            [
                DifferingCandidate(tally, policy_words((one if rule.admits(tally) else other).name))
                for tally in candidates
            ],
        )
        for item, candidates in found[: queries.PAGE_SIZE]
    ]
    return items, len(found) > queries.PAGE_SIZE
