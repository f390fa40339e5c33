"""The report of an import, in numbers and names."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from app.models import Json
from app.run_results import ImportResult

MAX_LISTED = 1000
MAX_SHOWN = 20


@dataclass(frozen=True)
class ImportReport:
    """The report of an import, for people and for `--json`."""

    n_rows: int
    n_added: int
    n_unchanged: int
    n_updated: int
    n_images: int
    """Images that are new in the project."""
    splits: dict[str, int]
    """Rows of the file per split."""
    changed: list[str] = field(default_factory=list)
    """Ids whose rows differ from their items and were left alone: they need `update`."""
    refused: list[str] = field(default_factory=list)
    """Ids whose rows differ but may not be rewritten, each with the reason."""
    warnings: list[str] = field(default_factory=list)
    n_pictures: int = 0
    """Images that came without a question."""
    n_pictures_added: int = 0
    """Those of them that are new in the project."""
    picture_splits: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> Json:
        """Returns the report for `--json`; long lists are cut, their lengths are told."""
        report = asdict(self)
        for name in ("changed", "refused"):
            report[f"n_{name}"] = len(report[name])
            report[name] = report[name][:MAX_LISTED]
        return report

    def as_result(self) -> ImportResult:
        """Returns the report as the result of its run, with long lists cut."""
        return ImportResult(**self.as_dict())

    def as_lines(self) -> list[str]:
        """Returns the report as lines for a terminal."""
        lines = []
        if self.n_rows or not self.n_pictures:
            lines.append(
                f"{self.n_rows:,} rows ({_listed(self.splits)}): {self.n_added:,} added, "
                f"{self.n_updated:,} updated, {self.n_unchanged:,} unchanged; "
                f"{self.n_images:,} new images."
            )
        if self.n_pictures:
            n_there = self.n_pictures - self.n_pictures_added
            lines.append(
                f"{self.n_pictures:,} images without questions ({_listed(self.picture_splits)}): "
                f"{self.n_pictures_added:,} added, {n_there:,} there already. The strategy "
                "self_questioning asks about those to train on."
            )
        if self.changed:
            lines.append(
                f"{len(self.changed):,} rows differ from their items and were left alone; import "
                f"again with --update to write them: {_name_some(self.changed)}"
            )
        lines += [f"Not rewritten: {line}" for line in self.refused[:MAX_SHOWN]]
        if len(self.refused) > MAX_SHOWN:
            lines.append(f"… and {len(self.refused) - MAX_SHOWN:,} more.")
        return lines + [f"Note: {warning}" for warning in self.warnings]


def _listed(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {split}" for split, n in splits.items())


def _name_some(names: Sequence[str]) -> str:
    more = f" … and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
