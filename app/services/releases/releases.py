"""Releases: immutable, numbered exports of what was judged, that can be built again to the byte.

The manifest in the database is the release; files are made from it alone and from the images in
the store. A row that a former release held and the new one does not is named as withdrawn, never
left out in silence.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from app.events.releases import ReleaseCreated
from app.kit.db import session_scope
from app.kit.errors import LostRun, NotFound
from app.kit.sentences import Sentence
from app.lifecycle import DecidedBy, Job, ReleaseFormat, RunStatus
from app.models import Json, Project, Release, Run, User
from app.queries.releases import releases as queries
from app.queries.releases.rounds import list_judged_rounds
from app.queries.runs.runs import get_run, lock_run
from app.run_results import ReleaseResult, WorkProgress
from app.services.archived import require_open
from app.services.dataset.formats.sources import Progress
from app.services.events import record
from app.services.projects.guidelines_pictures import describe_mentioned
from app.services.refusals import ReleaseDamaged, ReleaseUnderWay
from app.services.releases.card import make_card
from app.services.releases.evidence import describe_evidence
from app.services.releases.figures import Figures
from app.services.releases.files import FILES, USUAL_FILES, ReleaseFile, archive_path
from app.services.releases.formats.huggingface import build_huggingface
from app.services.releases.formats.jsonl import build_jsonl
from app.services.releases.formats.labelled import build_kto, build_preference
from app.services.releases.formats.llava import build_llava
from app.services.releases.formats.packing import Entry, pack_folder, pack_zip
from app.services.releases.formats.parquet import build_parquet, require_parquet
from app.services.releases.rows import ReleasedRow, build_rows, canonical
from app.services.releases.tombstones import build_tombstones
from app.services.runs import runs

ROWS_PER_INSERT = 1000


def create_release(session: Session, project: Project, *, actor: User | None) -> Release:
    """Freeze what the judged rounds gave as the project's next release; it may be empty.

    `n_rows` counts the rationales. The manifest also holds the judged candidates that were not
    admitted, the judged items, and the tombstones of withdrawn rows.
    """
    require_open(project)
    if not queries.try_lock_releases(session, project.id):
        raise ReleaseUnderWay(
            Sentence("Another release of this project is being made. Try again when it is done.")
        )
    last = queries.find_last_release(session, project.id)
    rounds = list_judged_rounds(session, project.id)
    round_ids = sorted({source.round.id for source in rounds})
    figures = Figures()
    digest = hashlib.sha256()
    # The release's row needs the hash of all rows, and the rows need the release's id.
    with TemporaryFile() as spool:
        rows = build_rows(session, project, round_ids, figures)
        # Without a release before there is nothing that could be missing.
        for row in rows if last is None else _holding(session, rows):
            _spool(spool, row, digest)
        n_tombstones = 0
        for row in build_tombstones(session, project, last):
            n_tombstones += 1
            figures.add_tombstone(row.payload)
            _spool(spool, row, digest)
        release = Release(
            project_id=project.id,
            number=last.number + 1 if last else 1,
            content_hash=digest.hexdigest(),
            n_rows=figures.counts["rationales"],
            card=make_card(
                project,
                rounds,
                figures,
                n_tombstones=n_tombstones,
                released_on=datetime.now(UTC).date(),
                previous=last,
                guidelines_pictures=describe_mentioned(session, project),
                evidence=describe_evidence(session, rounds),
            ),
            created_by_id=actor.id if actor else None,
        )
        session.add(release)
        session.flush()  # the rows name the release's id
        spool.seek(0)
        _insert_rows(session, release, spool)
    record(
        session,
        ReleaseCreated(
            release_id=release.id, number=release.number, content_hash=release.content_hash
        ),
        project_id=project.id,
        actor=actor,
    )
    return release


def write_release(
    session: Session,
    release: Release,
    *,
    format: ReleaseFormat,
    out: Path,
    by: DecidedBy = DecidedBy.JUDGEMENT,
) -> None:
    """Write a release to the folder `out`, or to a zip file if its name ends in .zip. `by`: whose
    word decides in preference pairs and labels.

    The same release gives the same bytes. Raises AppError when the stored rows are not what the
    release was made of, and SetupError when an image is missing in the store.
    """
    with TemporaryDirectory(prefix="illume-release-") as folder:
        payloads = _checked_payloads(session, release)
        entries = _build(payloads, _describe(release), Path(folder), format, by)
        pack = pack_zip if out.suffix.lower() == ".zip" else pack_folder
        pack(entries, out)


def _build(
    payloads: Iterator[Json], release: Json, folder: Path, format: ReleaseFormat, by: DecidedBy
) -> list[Entry]:
    match format:
        case ReleaseFormat.JSONL:
            return build_jsonl(payloads, release, folder)
        case ReleaseFormat.HUGGINGFACE:
            return build_huggingface(payloads, release, folder)
        case ReleaseFormat.PARQUET:
            return build_parquet(payloads, release, folder)
        case ReleaseFormat.LLAVA:
            return build_llava(payloads, release, folder)
        case ReleaseFormat.PREFERENCE:
            return build_preference(payloads, release, folder, by)
        case ReleaseFormat.KTO:
            return build_kto(payloads, release, folder, by)


def _holding(session: Session, rows: Iterator[ReleasedRow]) -> Iterator[ReleasedRow]:
    """The rows as they come, noted in the database."""
    queries.begin_holding(session)
    block: list[dict[str, str]] = []
    for row in rows:
        block.append({name: row.payload[name] for name in ("row_id", "kind")})
        if len(block) == ROWS_PER_INSERT:
            queries.hold_rows(session, block)
            block = []
        yield row
    if block:
        queries.hold_rows(session, block)


def _spool(spool: IO[bytes], row: ReleasedRow, digest: "hashlib._Hash") -> None:
    line = canonical(row.payload)
    digest.update(line)
    spool.write(f"{row.item_id} ".encode() + line)


def _insert_rows(session: Session, release: Release, spool: IO[bytes]) -> None:
    block: list[Json] = []
    for number, line in enumerate(spool, start=1):
        item_id, _, payload = line.partition(b" ")
        values = json.loads(payload)
        block.append(
            {
                "release_id": release.id,
                "number": number,
                "item_id": int(item_id),
                "is_tombstone": values["kind"] == "tombstone",
                "payload": values,
            }
        )
        if len(block) == ROWS_PER_INSERT:
            queries.insert_rows(session, block)
            block = []
    if block:
        queries.insert_rows(session, block)


def _checked_payloads(session: Session, release: Release) -> Iterator[Json]:
    """The manifest; at its end it must have the content hash of the release."""
    digest = hashlib.sha256()
    for payload in queries.iterate_payloads(session, release.id):
        digest.update(canonical(payload))
        yield payload
    if digest.hexdigest() != release.content_hash:
        raise ReleaseDamaged(
            Sentence(
                "The rows of release %(number)s are not those it was made of: the database was "
                "changed by hand or restored in part. Restore a backup.",
                number=release.number,
            )
        )


def _describe(release: Release) -> Json:
    """Returns the description of the release that its files carry; it is as frozen as the rows."""
    return {
        "number": release.number,
        "content_hash": release.content_hash,
        "n_rows": release.n_rows,
        **release.card,
    }


# --- As a run -------------------------------------------------------------------------------


class ReleaseParameters(BaseModel):
    """`parameters` of a release run; with a release given, only files of it are built."""

    model_config = ConfigDict(extra="forbid")

    release_id: int | None = None
    files: tuple[str, ...] = USUAL_FILES
    """By the names that `app/services/releases/files.py` lists."""


def request_release(
    session: Session,
    project: Project,
    *,
    release: Release | None = None,
    files: Sequence[ReleaseFile] = (),
    actor: User | None,
) -> Run:
    """Queue a new release with its files, or files of a given one: the usual ones where none is
    named. Raises SetupError where Parquet is wanted and cannot be written here.
    """
    if any(file.format is ReleaseFormat.PARQUET for file in files):
        require_parquet()
    parameters = ReleaseParameters(
        release_id=release.id if release else None,
        files=tuple(file.name for file in files) or USUAL_FILES,
    )
    return runs.request_run(
        session,
        project_id=project.id,
        job=Job.RELEASE,
        parameters=parameters.model_dump(mode="json", exclude_defaults=True),
        actor=actor,
    )


def perform_release(run_id: int, *, attempt: int, progress: Progress) -> None:
    """Do a claimed release run: make the release once, then its files, each whole or not at all.

    A worker that takes over after a crash goes on with the release that is there.
    """
    with session_scope() as session:
        parameters = ReleaseParameters.model_validate(get_run(session, run_id).parameters)
        release_id = _make_once(session, run_id, attempt)
    for number, name in enumerate(parameters.files):
        progress(WorkProgress(step=f"writing {name}", done=number, total=len(parameters.files)))
        file = FILES[name]
        with session_scope() as session:
            release = queries.get_release(session, release_id)
            path = archive_path(release, file)
            if not path.is_file():
                write_release(session, release, format=file.format, by=file.by, out=path)
    with session_scope() as session:
        run = lock_run(session, run_id)
        release = queries.get_release(session, release_id)
        runs.finish_run(session, run, attempt=attempt, result=_result(release))


def _make_once(session: Session, run_id: int, attempt: int) -> int:
    run = get_run(session, run_id)
    release_id = ReleaseParameters.model_validate(run.parameters).release_id
    release_id = release_id or ReleaseResult.read(run.result).release_id
    if release_id is not None:
        return release_id
    project = session.get(Project, run.project_id)
    if project is None:
        raise NotFound("The project of this release is gone.")
    actor = session.get(User, run.requested_by_id) if run.requested_by_id else None
    release = create_release(session, project, actor=actor)
    # Held only now: the heartbeat writes to the row while the rows are gathered.
    run = lock_run(session, run_id)
    if run.status is not RunStatus.RUNNING or run.attempt != attempt:
        raise LostRun(f"Release run {run_id} was taken over.")
    run.result = _result(release).dump()
    return release.id


def _result(release: Release) -> ReleaseResult:
    return ReleaseResult(
        release_id=release.id,
        number=release.number,
        n_rows=release.n_rows,
        content_hash=release.content_hash,
    )
