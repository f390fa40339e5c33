"""The report of an import, in numbers and names."""

from collections.abc import Sequence
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
        splits = ", ".join(f"{n:,} {split}" for split, n in self.splits.items())
        lines = [
            f"{self.n_rows:,} rows ({splits}): {self.n_added:,} added, {self.n_updated:,} updated, "
            f"{self.n_unchanged:,} unchanged; {self.n_images:,} new images."
        ]
        if self.changed:
            lines.append(
                f"{len(self.changed):,} rows differ from their items and were left alone; import "
                f"again with --update to write them: {_name_some(self.changed)}"
            )
        lines += [f"Not rewritten: {line}" for line in self.refused[:MAX_SHOWN]]
        if len(self.refused) > MAX_SHOWN:
            lines.append(f"… and {len(self.refused) - MAX_SHOWN:,} more.")
        return lines + [f"Note: {warning}" for warning in self.warnings]


def _name_some(names: Sequence[str]) -> str:
    more = f" … and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more
