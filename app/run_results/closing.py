"""The stored result of closing a round: verdicts of a critic, and the weights of people."""

from collections.abc import Mapping

from pydantic import Field

from app.run_results.base import StoredJson


class CriticFigures(StoredJson):
    """The result of a critic's judging, over all draws, shown or not."""

    draws: int = 0
    fitting_draws: int = 0
    candidates: int = 0
    fitting_candidates: int = 0
    items: int = 0
    items_with_fit: int = 0
    faults: Mapping[str, int] = Field(default_factory=dict)
    """Draws by the fault that the critic found."""

    @property
    def fitting_share(self) -> float | None:
        """Returns the share of the draws that fit; None without any."""
        return self.fitting_draws / self.draws if self.draws else None


class WeighedPerson(StoredJson):
    """How a policy weighed one person: None where their votes say nothing of it."""

    user_id: int
    n_votes: int = 0
    sensitivity: float | None = None
    """The share of fitting candidates of which they say that they fit, as estimated."""
    specificity: float | None = None
    """The share of the others of which they say that they do not fit."""


class KnownBefore(StoredJson):
    """The results that Dawid–Skene starts from for everybody, as right answers of so many."""

    fitting: tuple[float, float] = (0.0, 0.0)
    others: tuple[float, float] = (0.0, 0.0)
    share_fitting: tuple[float, float] = (0.0, 0.0)
    """Candidates that fit, of so many."""


class Weighing(StoredJson):
    """The estimates of Dawid and Skene's method from the votes of a round."""

    probability: float = 0.0
    """From which on a candidate is admitted."""
    share_fitting: float = 0.0
    n_iterations: int = 0
    log_likelihood: float = 0.0
    before: KnownBefore = KnownBefore()
    n_checked: int = 0
    """People of whom results of check items were known."""
    people: tuple[WeighedPerson, ...] = ()


class ClosingResult(StoredJson):
    """The result of a closing: what was admitted, of how many items that somebody judged."""

    n_rationales: int = 0
    n_items: int = 0
    n_judged_items: int = 0
