"""Bring a dataset into a project: checked as a whole, stored in one transaction or not at all.

The same file again changes nothing. A row whose content differs from its item is listed, and
written only when the caller asks to update; what people have judged is never rewritten. An image
keeps the split it came in with, so that nothing held out is ever trained on.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from app.events.dataset import ImportFinished, ItemContentChanged
from app.kit.db import session_scope
from app.kit.errors import InvalidInput, LostRun, NotFound
from app.kit.sentences import Sentence
from app.kit.storage import Upload, image_path, put_image, upload_path
from app.lifecycle import DataFormat, Job, RunStatus, Split
from app.models import Project, Run, User
from app.queries.dataset import imports as queries
from app.queries.runs.runs import get_run, lock_run
from app.run_results import ImportErrors, WorkProgress
from app.services.archived import require_open
from app.services.dataset.formats.images import ParsedImage
from app.services.dataset.formats.reading import ParsedDataset, read_sources
from app.services.dataset.formats.sources import Progress, SourceFile
from app.services.dataset.plan import Plan, differences, make_plan, row_content
from app.services.dataset.report import ImportReport
from app.services.events import record
from app.services.refusals import ImportUnderWay, WrongFile
from app.services.runs import runs

__all__ = [
    "DataFormat",
    "ImportParameters",
    "ImportReport",
    "ParsedDataset",
    "import_dataset",
    "perform_import",
    "read_dataset",
    "request_import",
]

ROWS_PER_INSERT = 1000
IMAGES_PER_INSERT = 100


def read_dataset(
    paths: Sequence[Path],
    *,
    images: Path | None = None,
    format: DataFormat = DataFormat.AUTO,
    progress: Progress | None = None,
) -> ParsedDataset:
    """Read data files, zips and folders of this machine, with the images in the folder `images`, in
    a folder of that name beside each file, beside the file itself, or in the zip or folder. Close
    what it returns.

    Raises InvalidInput with one line per problem; nothing is stored either way.
    """
    if images is not None and not images.is_dir():
        raise InvalidInput(Sentence("There is no folder %(folder)s.", folder=str(images)))
    sources = [
        SourceFile(
            path=path,
            name=path.name,
            image_folders=_image_folders(path, images),
        )
        for path in paths
    ]
    if not sources:
        raise InvalidInput(Sentence("Name at least one file to import."))
    return read_sources(sources, format=format, progress=progress)


def _image_folders(path: Path, images: Path | None) -> tuple[Path, ...]:
    if images is not None:
        return (images,)
    return () if path.is_dir() else (path.parent / "images", path.parent)


def import_dataset(
    session: Session,
    project: Project,
    parsed: ParsedDataset,
    *,
    update: bool,
    actor: User | None,
    progress: Progress | None = None,
) -> ImportReport:
    """Store what `read_dataset` found. Raises InvalidInput with one line per problem, before
    anything is written, and Conflict while another import into the project runs."""
    require_open(project)
    if not queries.try_lock_import(session, project.id):
        raise ImportUnderWay(
            Sentence("Another import into this project is running. Try again when it is done.")
        )
    plan = make_plan(session, project, parsed, update=update)
    n_images = _store_images(session, project, parsed, plan, progress)
    _add_items(session, project, plan, progress)
    _update_items(session, project, plan, actor)
    for image, picture in plan.retold:
        image.facts = picture.row.facts
    splits = Counter(plan.splits[item.image_sha256].value for item in parsed.items)
    alone = Counter(plan.splits[one.image_sha256].value for one in parsed.pictures)
    report = ImportReport(
        n_rows=len(parsed.items),
        n_added=len(plan.added),
        n_unchanged=len(plan.unchanged),
        n_updated=len(plan.updated),
        n_images=n_images,
        splits=dict(sorted(splits.items())),
        changed=plan.changed,
        refused=plan.refused,
        warnings=[*parsed.warnings, *plan.notes],
        n_pictures=len(parsed.pictures),
        n_pictures_added=len(plan.pictures),
        picture_splits={name: alone[name] for name in map(str, Split) if alone[name]},
    )
    if plan.added or plan.updated or plan.pictures or plan.retold:
        record(
            session,
            ImportFinished(
                n_added=report.n_added,
                n_updated=report.n_updated,
                n_images=report.n_images,
                n_pictures=report.n_pictures_added or None,
            ),
            project_id=project.id,
            actor=actor,
        )
    return report


# --- As a run -------------------------------------------------------------------------------


class ImportParameters(BaseModel):
    """`parameters` of an import run."""

    model_config = ConfigDict(extra="forbid")

    uploads: list[Upload]
    format: DataFormat = DataFormat.AUTO
    update: bool = False


def request_import(
    session: Session,
    project: Project,
    *,
    uploads: Sequence[Upload],
    format: DataFormat = DataFormat.AUTO,
    update: bool = False,
    actor: User | None,
) -> Run:
    """Queue the import of files that `app.kit.storage.put_upload` kept: data files, and zips that
    hold data, images or both."""
    if not uploads:
        raise WrongFile(Sentence("Choose at least one file to import."))
    parameters = ImportParameters(uploads=list(uploads), format=format, update=update)
    return runs.request_run(
        session,
        project_id=project.id,
        job=Job.IMPORT,
        parameters=parameters.model_dump(mode="json"),
        actor=actor,
    )


def perform_import(run_id: int, *, attempt: int, progress: Progress) -> None:
    """Do a claimed import run. Its result is the report, or `errors`, one line per problem.

    Harmless to repeat: the rows and the end of the run are one transaction.
    """
    with session_scope() as session:
        parameters = ImportParameters.model_validate(get_run(session, run_id).parameters)
    try:
        _import_uploads(run_id, attempt, parameters, progress)
    except InvalidInput as error:
        _keep_errors(run_id, attempt, error)
        raise


def _import_uploads(
    run_id: int, attempt: int, parameters: ImportParameters, progress: Progress
) -> None:
    sources = [
        # Uploads lie in one folder: a row must not find its image in somebody else's upload.
        SourceFile(path=upload_path(upload.name), name=upload.filename, image_folders=())
        for upload in parameters.uploads
    ]
    with (
        read_sources(sources, format=parameters.format, progress=progress) as parsed,
        session_scope() as session,
    ):
        run = get_run(session, run_id)
        project = session.get(Project, run.project_id)
        if project is None:
            raise NotFound(Sentence("The project of this import is gone."))
        actor = session.get(User, run.requested_by_id) if run.requested_by_id else None
        report = import_dataset(
            session,
            project,
            parsed,
            update=parameters.update,
            actor=actor,
            progress=progress,
        )
        # Held only now: the heartbeat writes to the row while the import runs.
        run = lock_run(session, run_id)
        runs.finish_run(session, run, attempt=attempt, result=report.as_result())


def _keep_errors(run_id: int, attempt: int, error: InvalidInput) -> None:
    """The run itself is failed by its worker, which also knows other ways to fail."""
    with session_scope() as session:
        run = lock_run(session, run_id)
        if run.status is not RunStatus.RUNNING or run.attempt != attempt:
            raise LostRun(f"Import run {run_id} was taken over.") from error
        errors = error.errors or [error.message]
        run.result = ImportErrors(errors=tuple(errors)).dump()


# --- Writing --------------------------------------------------------------------------------


def _store_images(
    session: Session,
    project: Project,
    parsed: ParsedDataset,
    plan: Plan,
    progress: Progress | None,
) -> int:
    """Hold the rows of images before their files are kept, so that a deletion that ends meanwhile
    takes neither; returns the number of images new here."""
    needed = {item.image_sha256 for item in plan.added}
    needed.update(item.image_sha256 for _, item in plan.updated)
    alone = {picture.image_sha256: picture.row for picture in plan.pictures}
    needed.update(alone)
    # A file that the store has lost comes back with the import that brought it.
    there = {item.image_sha256 for item in plan.unchanged}
    lost = there.union(picture.image_sha256 for picture in parsed.pictures) - needed
    for sha256 in sorted(lost):
        image = parsed.images[sha256]
        if not image_path(sha256, image.media_type).is_file():
            put_image(image.read(), image.media_type)
    fresh = sorted(needed.difference(plan.known))
    for start in range(0, len(fresh), IMAGES_PER_INSERT):
        block = [parsed.images[sha256] for sha256 in fresh[start : start + IMAGES_PER_INSERT]]
        _hold_images(session, block)
        for image in block:
            put_image(image.read(), image.media_type)
        queries.insert_project_images(
            session,
            [
                {
                    "project_id": project.id,
                    "image_sha256": image.sha256,
                    "split": plan.splits[image.sha256],
                    "image_name": row.images[0] if row else None,
                    "facts": row.facts if row else None,
                }
                for image in block
                for row in [alone.get(image.sha256)]
            ],
        )
        if progress:
            progress(
                WorkProgress(
                    step=Sentence("storing images"), done=start + len(block), total=len(fresh)
                )
            )
    return len(fresh)


def _hold_images(session: Session, images: Iterable[ParsedImage]) -> None:
    queries.hold_images(
        session,
        [
            {
                "sha256": image.sha256,
                "media_type": image.media_type,
                "width": image.width,
                "height": image.height,
                "n_bytes": image.n_bytes,
            }
            for image in images
        ],
    )


def _add_items(session: Session, project: Project, plan: Plan, progress: Progress | None) -> None:
    for start in range(0, len(plan.added), ROWS_PER_INSERT):
        block = plan.added[start : start + ROWS_PER_INSERT]
        queries.insert_items(
            session,
            [
                {
                    "project_id": project.id,
                    "split": plan.splits[item.image_sha256],
                    "external_id": item.row.external_id,
                    "image_name": item.row.image_name or item.row.images[0],
                    **row_content(item),
                }
                for item in block
            ],
        )
        if progress:
            progress(
                WorkProgress(
                    step=Sentence("adding items"), done=start + len(block), total=len(plan.added)
                )
            )


def _update_items(session: Session, project: Project, plan: Plan, actor: User | None) -> None:
    for old, item in plan.updated:
        new = differences(old, item)
        before = {name: getattr(old, name) for name in new}
        for name in before:
            setattr(old, name, new[name])
        # The version is that of what is judged, which people's answers are no part of.
        old.version += new.keys() != {"answers"}
        record(
            session,
            ItemContentChanged(
                item_id=old.id,
                external_id=old.external_id,
                version=old.version,
                old=before,
                new=new,
            ),
            project_id=project.id,
            actor=actor,
        )
