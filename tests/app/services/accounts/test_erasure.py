"""People who are erased: what is refused, what goes, what stays, and what releases say of it."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.events.judging import JudgementStatusChanged
from app.kit.errors import Conflict, InvalidInput, NotAllowed
from app.lifecycle import Job, JudgementStatus, RoundStatus, RunStatus
from app.models import (
    Candidate,
    Event,
    Item,
    Judgement,
    JudgementRevision,
    Membership,
    Project,
    SignInLink,
    SignInSession,
    TrainingRow,
    User,
    WrittenRationale,
)
from app.queries.accounts.users import find_user
from app.queries.releases.releases import iterate_payloads
from app.queries.rounds.training_items import list_manifest
from app.services.accounts import accounts, erasure
from app.services.events import record
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.browsing import make_token, whose_token
from tests.support.dataset_files import own_store
from tests.support.factories import make_membership, make_project, make_round, make_run, make_user
from tests.support.released_project import correct, judge, make_released_project, show

OWN = "words of her own"


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def admin(session: Session) -> User:
    return make_user(session, name="Root", is_admin=True)


def erase(session: Session, user: User, admin: User | None, **choice: bool) -> int:
    return erasure.erase_person(session, user, typed_name=user.name, actor=admin, **choice)


def write(session: Session, folder: Path) -> tuple[Project, list[Item], User, Judgement]:
    """A released project, in which one more person judged q3 and corrected its text."""
    project, items = make_released_project(session, folder)
    noor = make_user(session, name="Noor")
    round_ = make_round(session, project, number=3, status=RoundStatus.CANCELLED)
    place = show(session, round_, items[2], ["some text"])
    judgement = judge(session, place, noor)
    judgement.comment = OWN
    correct(session, place, judgement, "some text", OWN)
    session.add(
        JudgementRevision(
            judgement_id=judgement.id,
            number=1,
            action="submit",
            content={"comment": OWN, "edits": {"1": OWN}, "none_fits": True},
        )
    )
    skipped = JudgementStatusChanged(
        judgement_id=judgement.id,
        old=JudgementStatus.LEASED,
        new=JudgementStatus.SKIPPED,
        reason=OWN,
    )
    record(session, skipped, actor=noor)
    session.flush()
    return project, items, noor, judgement


def test_an_erased_person_has_no_account_and_no_name(session: Session, admin: User) -> None:
    noor = accounts.add_user(session, name="Noor", password="correct horse battery")
    make_membership(session, make_project(session), noor)
    accounts.make_sign_in_link(session, noor)
    token = make_token(session, noor, label="Noor's laptop")
    accounts.start_session(session, noor)
    assert erase(session, noor, admin) == 0
    assert (noor.password_hash, noor.is_admin, noor.judging_keys) == (None, False, {})
    assert noor.erased_at is not None
    assert whose_token(session, token) is None
    for table in (Membership, SignInLink, SignInSession):
        assert session.scalars(select(table)).all() == []
    names = [user.name for user in session.scalars(select(User))]
    details = [str(event.details) for event in session.scalars(select(Event))]
    assert "Noor" not in "".join(names + details)
    assert find_user(session, noor.name) is None
    # The name is free again, but the one that stays can be taken by nobody.
    assert accounts.add_user(session, name="Noor").id != noor.id
    with pytest.raises(InvalidInput):
        accounts.add_user(session, name=noor.name)
    with pytest.raises(Conflict, match="erased already"):
        accounts.set_disabled(session, noor, False, actor=admin)
    with pytest.raises(Conflict, match="erased already"):
        erase(session, noor, admin)


def test_somebody_may_be_called_as_an_erased_person_looks(session: Session, admin: User) -> None:
    noor = make_user(session, name="Noor")
    other = accounts.add_user(
        session, name=f"erased person {noor.id}", password="long enough 7 words"
    )
    erase(session, noor, admin)
    assert find_user(session, other.name) is other


def test_nobody_erases_themselves_or_the_last_administrator_or_by_another_name(
    session: Session, admin: User
) -> None:
    noor = make_user(session, name="Noor")
    with pytest.raises(Conflict, match="last administrator"):
        erase(session, admin, None)
    with pytest.raises(Conflict, match="erase yourself"):
        erase(session, admin, admin)
    with pytest.raises(NotAllowed):
        erase(session, admin, noor)
    for typed in ("", "noor", "No"):
        with pytest.raises(InvalidInput, match="Type the name"):
            erasure.erase_person(session, noor, typed_name=typed, actor=admin)
    assert noor.erased_at is None


def test_own_words_go_and_judgements_stay(session: Session, admin: User, tmp_path: Path) -> None:
    project, items, noor, judgement = write(session, tmp_path)
    round_ = make_round(session, project, number=4, status=RoundStatus.CANCELLED)
    for item, reason in ((items[0], OWN), (items[1], "The question is unclear")):
        place = show(session, round_, item, ["a text"])
        session.add(
            Judgement(
                round_item_id=place.id, round_id=round_.id, user_id=noor.id, shown_order=[],
                status=JudgementStatus.SKIPPED, max_slots=place.max_slots, skip_reason=reason,
            )
        )  # fmt: skip
    session.flush()
    assert erase(session, noor, admin) == 0
    assert session.scalars(select(WrittenRationale)).all() == []
    assert (judgement.comment, judgement.none_fits) == ("", True)
    (revision,) = session.scalars(select(JudgementRevision))
    assert revision.content == {"none_fits": True}
    reasons = session.scalars(select(Judgement.skip_reason).order_by(Judgement.id)).all()
    assert reasons[-2:] == ["the reason was erased", "The question is unclear"]
    assert OWN not in str([event.details for event in session.scalars(select(Event))])
    (skipped,) = session.scalars(select(Event).where(Event.tag == JudgementStatusChanged.tag))
    assert skipped.details == {"judgement_id": judgement.id, "old": "leased", "new": "skipped"}
    # History is as closed as it was.
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(update(JudgementRevision).values(content={}))


def test_later_releases_name_what_was_erased_and_earlier_ones_keep_their_bytes(
    session: Session, admin: User, tmp_path: Path
) -> None:
    project, _, noor, _ = write(session, tmp_path)
    first = create_release(session, project, actor=None)

    def digest(name: str) -> str:
        path = tmp_path / name
        write_release(session, first, format=ReleaseFormat.JSONL, out=path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    before = digest("before.zip")
    # What a release holds is not deleted, also where that was chosen.
    assert erase(session, noor, admin, with_judgements=True) == 0
    assert digest("after.zip") == before
    for _ in range(2):  # it is said again in all that follow
        later = create_release(session, project, actor=None)
        rows = list(iterate_payloads(session, later.id))
        assert OWN not in str(rows)
        (tombstone,) = [row for row in rows if row["kind"] == "tombstone"]
        assert tombstone["former_kind"] == "written"
        assert tombstone["reason"] == "the person who wrote it was erased"
        assert tombstone["last_release"] == first.number
        assert later.card["figures"]["erased"] == 1
    write_release(session, later, format=ReleaseFormat.JSONL, out=tmp_path / "later")
    assert "1 of these rows held texts of people" in (tmp_path / "later" / "README.md").read_text()
    assert "erased" not in first.card["figures"]


def test_judgements_in_no_release_are_deleted_where_that_is_chosen(
    session: Session, admin: User, tmp_path: Path
) -> None:
    project, _, noor, _ = write(session, tmp_path)
    others = len(session.scalars(select(Judgement.id)).all()) - 1
    assert erase(session, noor, admin, with_judgements=True) == 1
    assert len(session.scalars(select(Judgement.id)).all()) == others
    assert session.scalars(select(JudgementRevision)).all() == []
    release = create_release(session, project, actor=None)
    assert OWN not in str(list(iterate_payloads(session, release.id)))


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.FAILED])
def test_a_training_that_is_not_over_keeps_the_texts_that_it_reads(
    session: Session, admin: User, tmp_path: Path, status: RunStatus
) -> None:
    _, _, noor, judgement = write(session, tmp_path)
    train_on(session, judgement, RoundStatus.TRAINING, status)
    with pytest.raises(Conflict, match="wait until its round is over"):
        erase(session, noor, admin)


def test_a_training_that_read_a_text_keeps_its_row_and_loses_the_text(
    session: Session, admin: User, tmp_path: Path
) -> None:
    _, _, noor, judgement = write(session, tmp_path)
    row = train_on(session, judgement, RoundStatus.CANCELLED, RunStatus.SUCCEEDED)
    # The judgement that the manifest names stays too.
    assert erase(session, noor, admin, with_judgements=True) == 0
    assert session.get_one(TrainingRow, row.id).written_judgement_id == judgement.id
    (written,) = session.scalars(select(WrittenRationale))
    assert (written.text, written.erased_at is not None) == ("", True)
    assert list_manifest(session, row.run_id) == []


def train_on(
    session: Session, judgement: Judgement, round_status: RoundStatus, status: RunStatus
) -> TrainingRow:
    written = session.scalars(select(WrittenRationale)).one()
    project_id = session.scalars(
        select(Item.project_id).join(Candidate).where(Candidate.id == written.candidate_id)
    ).one()
    project = session.get_one(Project, project_id)
    round_ = make_round(session, project, number=5, status=round_status)
    run = make_run(session, project, Job.TRAIN, round_=round_)
    run.status = status
    if status is not RunStatus.RUNNING:
        run.finished_at, run.error = datetime.now(UTC), "x" if status is RunStatus.FAILED else None
    row = TrainingRow(
        run_id=run.id,
        item_id=written.item_id,
        written_judgement_id=judgement.id,
        written_candidate_id=written.candidate_id,
    )
    session.add(row)
    session.flush()
    return row


def test_of_the_history_only_own_words_go_and_what_nobody_can_read(
    session: Session, admin: User
) -> None:
    noor, other = make_user(session, name="Noor"), make_user(session, name="Other")
    kept = {"user_id": other.id, "name": "Other's laptop"}
    for tag, actor, details in (
        ("user:token:created", noor, {"user_id": noor.id, "name": OWN}),
        ("user:token:created", other, kept),
        ("project:created", noor, {"name": "Scenes"}),
        ("later:word:said", noor, {"word": OWN}),
        ("later:word:said", admin, {"user_id": noor.id, "word": OWN}),
        ("later:word:said", other, {"word": "hers"}),
    ):
        session.add(Event(tag=tag, actor_id=actor.id, details=details))
        session.flush()
    erase(session, noor, admin)
    stored = list(session.scalars(select(Event.details).order_by(Event.id)))
    assert stored[:6] == [{"user_id": noor.id}, kept, {"name": "Scenes"}, {}, {}, {"word": "hers"}]
