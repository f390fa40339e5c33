"""The pages of imports and releases, and the page of one such run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.lifecycle import LIVE_RUN, DecidedBy, Job, ReleaseFormat, RunStatus, Split
from app.models import Project, Release, Run
from app.queries.projects import overview
from app.queries.releases.releases import list_releases
from app.queries.rounds.adapters import TrainedAdapter, list_trained_adapters
from app.run_results import ImportErrors, ImportResult, ReleaseResult
from app.services.releases.files import FILES, USUAL_FILES, ReleaseFile, archive_path
from app.web.pages.runs.runs import RunCard, run_card, split_error

MAX_SHOWN_ERRORS = 200
MAX_SHOWN_NAMES = 50
SPLIT_LABELS: Mapping[str, str] = {
    Split.TRAIN: Sentence("Train rows"),
    Split.VALIDATION: Sentence("Validation rows"),
    Split.TEST: Sentence("Test rows"),
}


@dataclass(frozen=True)
class RunLine:
    run: Run
    summary: str


@dataclass(frozen=True)
class RunPage:
    """One import or release run; `polls` until it is over."""

    project: Project
    run: Run
    card: RunCard
    polls: bool
    files: tuple[str, ...]
    errors: tuple[str, ...]
    n_errors: int
    report: ImportResult | None
    """None until an import has stored its rows."""
    changed: tuple[str, ...]
    refused: tuple[str, ...]
    split_labels: Mapping[str, str]
    release_id: int | None


def run_page(session: Session, project: Project, run: Run) -> RunPage:
    errors = ImportErrors.read(run.result).errors
    is_stored = run.job is Job.IMPORT and run.status is RunStatus.SUCCEEDED
    report = ImportResult.read(run.result) if is_stored else None
    return RunPage(
        project=project,
        run=run,
        card=run_card(run, overview.list_worker_lines(session)),
        polls=run.status in LIVE_RUN,
        files=tuple(upload["filename"] for upload in run.parameters.get("uploads", [])),
        errors=errors[:MAX_SHOWN_ERRORS],
        n_errors=len(errors),
        report=report,
        changed=report.changed[:MAX_SHOWN_NAMES] if report else (),
        refused=report.refused[:MAX_SHOWN_NAMES] if report else (),
        split_labels=SPLIT_LABELS,
        release_id=ReleaseResult.read(run.result).release_id,
    )


def list_imports(session: Session, project: Project) -> list[RunLine]:
    runs = overview.list_project_runs(session, project.id, Job.IMPORT)
    return [RunLine(run, _import_summary(run)) for run in runs]


def _import_summary(run: Run) -> str:
    if run.status is RunStatus.FAILED:
        errors = ImportErrors.read(run.result).errors
        first = errors[0] if errors else split_error(run.error)[0]
        if len(errors) < 2:
            return first
        return Sentence("%(first)s … and %(n)s more", first=first, n=len(errors) - 1)
    if run.status is not RunStatus.SUCCEEDED:
        return ""
    result = ImportResult.read(run.result)
    rows = Sentence(
        "%(added)s added, %(updated)s updated, %(unchanged)s unchanged",
        added=Amount(result.n_added),
        updated=Amount(result.n_updated),
        unchanged=Amount(result.n_unchanged),
    )
    if not result.n_pictures:
        return rows
    alone = CountedSentence(
        "%(n)s image without questions", "%(n)s images without questions", n=result.n_pictures
    )
    return Sentence("%(first)s, %(last)s", first=rows, last=alone) if result.n_rows else alone


@dataclass(frozen=True)
class ReleaseFileLine:
    """One file of a release; n_bytes None: it is not built."""

    name: str
    label: str
    n_bytes: int | None


@dataclass(frozen=True)
class ReleaseLine:
    release: Release
    files: tuple[ReleaseFileLine, ...]

    @property
    def built(self) -> tuple[ReleaseFileLine, ...]:
        """What can be downloaded."""
        return tuple(file for file in self.files if file.n_bytes is not None)


@dataclass(frozen=True)
class ReleasesPage:
    releases: Sequence[ReleaseLine]
    live_run: Run | None
    failed_run: Run | None
    n_admitted: int
    adapters: Sequence[TrainedAdapter]


FIGURE_LABELS = {
    "rationales": Sentence("Rationales"),
    "candidates": Sentence("Candidates"),
    "items": Sentence("Items"),
    "items_with_rationale": Sentence("Items with rationale"),
    "items_in_doubt": Sentence("Items in doubt"),
    "images": Sentence("Images"),
    "written": Sentence("Written"),
    "traces": Sentence("With a monologue"),
    "tombstones": Sentence("Tombstones"),
}
"""The counts of a release's card."""

_BY_FORMAT = {
    ReleaseFormat.JSONL: Sentence("JSONL with full lineage"),
    ReleaseFormat.HUGGINGFACE: Sentence("Hugging Face image folder"),
    ReleaseFormat.PARQUET: Sentence("Parquet with pictures"),
    ReleaseFormat.LLAVA: Sentence("Conversations for LLaVA and LLaMA-Factory"),
}
_PAIRS_BY = {
    DecidedBy.JUDGEMENT: Sentence("Preference pairs, by single judgements"),
    DecidedBy.AGREED: Sentence("Preference pairs that nobody contradicts"),
    DecidedBy.POLICY: Sentence("Preference pairs, by the rounds' policies"),
}
_LABELS_BY = {
    DecidedBy.JUDGEMENT: Sentence("Labels for KTO, one per verdict"),
    DecidedBy.AGREED: Sentence("Labels for KTO that nobody contradicts"),
    DecidedBy.POLICY: Sentence("Labels for KTO, by the rounds' policies"),
}


def file_label(file: ReleaseFile) -> str:
    """Returns what a file of a release is called on pages."""
    match file.format:
        case ReleaseFormat.PREFERENCE:
            return _PAIRS_BY[file.by]
        case ReleaseFormat.KTO:
            return _LABELS_BY[file.by]
        case _:
            return _BY_FORMAT[file.format]


def release_line(release: Release) -> ReleaseLine:
    paths = [(file, archive_path(release, file)) for file in FILES.values()]
    return ReleaseLine(
        release,
        tuple(
            ReleaseFileLine(
                file.name, file_label(file), path.stat().st_size if path.is_file() else None
            )
            for file, path in paths
        ),
    )


FILE_CHOICES = tuple(
    (file.name, file_label(file), file.name in USUAL_FILES) for file in FILES.values()
)
"""Name, label, and whether it is built where nobody says otherwise."""


def releases_page(session: Session, project: Project) -> ReleasesPage:
    runs = overview.list_project_runs(session, project.id, Job.RELEASE, limit=1)
    newest = runs[0] if runs else None
    return ReleasesPage(
        releases=[release_line(release) for release in list_releases(session, project.id)],
        live_run=newest if newest and newest.status in LIVE_RUN else None,
        failed_run=newest if newest and newest.status is RunStatus.FAILED else None,
        n_admitted=overview.count_admitted(session, project.id)[1],
        adapters=list_trained_adapters(session, project.id),
    )
