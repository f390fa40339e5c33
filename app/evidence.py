"""The JSON of a round's evidence: how far people agree, and whether positions draw picks.

As the results of runs (`run_results.py`): whoever measures stores what `dump` returns, pages call
`find`. A new kind of evidence is a member of `EvidenceKind`, a model here and what measures it in
`app/services/quality/evidence.py`.
"""

from app.metrics.agreement import Undefined
from app.run_results import StoredJson


class Figure(StoredJson):
    """A measure with its interval; without a value where `undefined` says why."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Candidates, or items, that two or more people judged."""
    undefined: Undefined | None = None


class PersonAgreement(StoredJson):
    """How far one person agrees with the others of a round."""

    user_id: int
    alpha: Figure
    n_judgements: int = 0
    picked_share: float | None = None


class AgreementFigures(StoredJson):
    """How far the people of a round agree, over the judgements that count."""

    n_judgements: int = 0
    n_items: int = 0
    n_people: int = 0
    alpha: Figure = Figure()
    """Krippendorff's, over verdicts on candidates."""
    masi: Figure = Figure()
    """Krippendorff's with the MASI distance, over the picked sets of items."""
    fleiss: Figure = Figure()
    cohen: Figure = Figure()
    share_same: Figure = Figure()
    share_by_chance: float | None = None
    """The share of equal verdicts of people who pick as often, but at random."""
    picked_share: float | None = None
    people: tuple[PersonAgreement, ...] = ()


class AssessmentResult(StoredJson):
    """The result of gathering evidence: how many judgements it is about; the rest are rows."""

    n_judgements: int = 0
