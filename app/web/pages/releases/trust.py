"""How far the rounds of a release can be trusted, as its card tells it: what it froze, no more."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.evidence import Figure, PositionFigures
from app.kit.sentences import Sentence
from app.models import Json, Release
from app.web.language.labels import policy_words
from app.web.pages.rounds.evidence import words_of, words_of_positions


@dataclass(frozen=True)
class CheckSpread:
    """The scores of people on check items: of how many people, and from where to where."""

    n_people: int
    lowest: float
    median: float
    highest: float


@dataclass(frozen=True)
class TrustLine:
    """One round of a release. What was not measured of it is None."""

    number: int
    policy: str
    alpha: Figure | None
    masi: Figure | None
    words: Sentence | None
    positions: Sentence | None
    checks: CheckSpread | None


def trust_lines(release: Release) -> Sequence[TrustLine]:
    """Returns a line for each round of a release."""
    card = release.card
    measured = {entry["round"]: entry for entry in card.get("evidence", ())}
    return [_line(entry, measured.get(entry["number"], {})) for entry in card.get("rounds", ())]


def _line(round_: Json, told: Json) -> TrustLine:
    alpha, masi = _figure(told, "alpha"), _figure(told, "masi")
    positions = PositionFigures.find(told.get("positions", {}))
    checks = told.get("checks")
    return TrustLine(
        number=round_["number"],
        policy=policy_words(round_["policy"]) if "policy" in round_ else "",
        alpha=alpha,
        masi=masi,
        words=words_of(alpha) if alpha else None,
        positions=words_of_positions(positions) if positions else None,
        checks=CheckSpread(**checks) if checks else None,
    )


def _figure(told: Json, name: str) -> Figure | None:
    stored = told.get("agreement", {}).get(name)
    return Figure.read(stored) if stored else None
