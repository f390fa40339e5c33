"""How well a warning about candidates foretells that they are judged not to fit, beside a warning
that is given at random as often."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.measures import Undefined
from app.metrics.resampling import Bools, Floats, Ints, Measured, Resampling, divided


@dataclass(frozen=True)
class Warned:
    """Columns with an entry for each candidate: its item, whether people were warned of it, the
    number of its verdicts, and of those that say that it does not fit."""

    item: Ints
    is_warned: Bools
    n_verdicts: Ints
    n_against: Ints


@dataclass(frozen=True)
class WarningWorth:
    """How often a warning is right, counted over verdicts. precision: of the verdicts on what is
    warned of, the share that say that it does not fit; recall: of those that say so, the share that
    is warned of. By chance: of a warning at random, as often. above: precision less that by
    chance."""

    precision: Measured
    recall: Measured
    precision_by_chance: float | None
    recall_by_chance: float | None
    above: Measured


def measure_warning(warned: Warned) -> WarningWorth:
    """Returns precision and recall of a warning; undefined where nothing is warned of, or nothing
    judged not to fit."""
    n_verdicts, n_against = int(warned.n_verdicts.sum()), int(warned.n_against.sum())
    if not n_verdicts:
        nothing = Measured(undefined=Undefined.NOTHING)
        return WarningWorth(nothing, nothing, None, None, nothing)
    on_warned = warned.n_verdicts * warned.is_warned
    hits = warned.n_against * warned.is_warned
    n_on_warned = int(on_warned.sum())
    resampling = Resampling()

    def measure(*columns: npt.NDArray[np.generic], above: bool = False) -> Measured:
        return resampling.measure(warned.item, columns, _above if above else divided)

    return WarningWorth(
        precision=measure(hits, on_warned),
        recall=measure(hits, warned.n_against),
        precision_by_chance=n_against / n_verdicts,
        recall_by_chance=n_on_warned / n_verdicts,
        above=measure(hits, on_warned, warned.n_against, warned.n_verdicts, above=True),
    )


def _above(hits: Floats, on_warned: Floats, n_against: Floats, n_verdicts: Floats) -> Floats:
    return divided(hits, on_warned) - divided(n_against, n_verdicts)
