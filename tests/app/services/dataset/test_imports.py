"""What an import stores, and what a second one of the same or a changed file does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.db import get_session_factory
from app.kit.errors import Conflict, InvalidInput
from app.kit.storage import image_path
from app.lifecycle import JudgementStatus, RoundStatus, Split
from app.models import Event, Image, Item, Judgement, Project, ProjectImage
from app.queries.dataset.imports import try_lock_import
from app.run_results import WorkProgress
from app.services.dataset.imports import import_dataset, read_dataset
from tests.support.dataset_files import (
    count_rows,
    jsonl,
    load,
    own_store,
    picture,
    row,
    stored_files,
    write_csv,
    write_images,
    write_jsonl,
    write_zip,
)
from tests.support.factories import make_project, make_round, make_round_item, make_user
from tests.support.odd_pictures import ODD, TURNED, halves, saved, with_position


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def items_of(session: Session, project: Project) -> dict[str, Item]:
    items = session.scalars(select(Item).where(Item.project_id == project.id))
    return {item.external_id: item for item in items}


def test_jsonl_with_images_beside_it(session: Session, project: Project, tmp_path: Path) -> None:
    write_images(tmp_path)
    path = write_jsonl(
        tmp_path / "data.jsonl",
        [
            row(1, facts={"objects": [{"color": "red", "size": 1.5}]}),
            row(2, split="val", rationales=["one", "two", "one "]),
            row(3, split="dev", rationales=..., rationale=" it looks red "),
        ],
    )
    report = load(session, project, path)
    assert (report.n_rows, report.n_added, report.n_images) == (3, 3, 3)
    assert report.splits == {"train": 1, "validation": 2}
    items = items_of(session, project)
    assert items["q1"].facts == {"objects": [{"color": "red", "size": 1.5}]}
    assert items["q2"].gold_rationales == ["one", "two"]
    assert items["q3"].gold_rationales == ["it looks red"]
    assert items["q3"].split is Split.VALIDATION
    assert items["q1"].version == 1
    image = session.get_one(Image, items["q1"].image_sha256)
    assert (image.media_type, image.width, image.height) == ("image/png", 64, 48)
    assert image_path(image.sha256, image.media_type).read_bytes() == picture(1)


def test_csv_takes_numbered_rationales_and_json_columns(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    header = ["id", "image", "question", "answer", "rationale_1", "rationale_2", "facts", "split"]
    path = write_csv(
        tmp_path / "data.csv",
        header,
        [
            ["1", "1.png", "how many,\nexactly?", "2", "two of them", "", '{"count": 2}', ""],
            ["2", "2.png", "is it red?", "yes", "", "", "", "test"],
        ],
    )
    report = load(session, project, path)
    items = items_of(session, project)
    assert items["1"].question == "how many,\nexactly?"
    assert items["1"].gold_rationales == ["two of them"]
    assert items["1"].facts == {"count": 2}
    assert items["2"].gold_rationales == []
    assert items["2"].split is Split.TEST
    assert "1 of 2 rows have no rationale" in report.warnings[0]


def test_csv_with_semicolons_and_a_byte_order_mark(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    path = tmp_path / "data.csv"
    text = 'id;image;question;answer;rationales\na;1.png;où?;là;"[""parce que"", ""oui""]"\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    load(session, project, path)
    item = items_of(session, project)["a"]
    assert (item.question, item.gold_rationales) == ("où?", ["parce que", "oui"])


def test_zip_with_data_and_images(session: Session, project: Project, tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "data.zip",
        {
            "set/data.jsonl": jsonl([row(1), row(2, image="deep/b.png")]),
            "set/images/1.png": picture(1),
            "set/images/deep/b.png": picture(2),
            "__MACOSX/set/._data.jsonl": b"clutter",
            "set/.DS_Store": b"clutter",
        },
    )
    assert load(session, project, path).n_added == 2


def test_data_file_and_a_zip_of_images(session: Session, project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    images = write_zip(tmp_path / "photos.zip", {"1.png": picture(1), "images/2.png": picture(2)})
    path = write_jsonl(tmp_path / "elsewhere/data.jsonl", [row(1), row(2)])
    assert load(session, project, path, images).n_added == 2


def test_images_in_a_named_folder(session: Session, project: Project, tmp_path: Path) -> None:
    images = write_images(tmp_path / "photos")
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    with read_dataset([path], images=images) as parsed:
        report = import_dataset(session, project, parsed, update=False, actor=None)
    assert report.n_added == 1


def test_two_rows_share_one_image_file_under_two_names(
    session: Session, project: Project, tmp_path: Path, store: Path
) -> None:
    images = write_images(tmp_path, ["1.png"])
    (images / "copy.png").write_bytes((images / "1.png").read_bytes())
    path = write_jsonl(tmp_path / "data.jsonl", [row(1), row(2, image="copy.png", split=...)])
    report = load(session, project, path)
    assert (report.n_added, report.n_images) == (2, 1)
    assert len(stored_files(store)) == 1
    # The row without a split follows its image.
    assert items_of(session, project)["q2"].split is Split.TRAIN


def test_without_a_split_the_image_decides_about_80_10_10(
    session: Session, project: Project, tmp_path: Path
) -> None:
    names = [f"{number}.png" for number in range(1, 301)]
    write_images(tmp_path, names)
    rows = [row(number, split=...) for number in range(1, 301)]
    path = write_jsonl(tmp_path / "data.jsonl", rows)
    splits = load(session, project, path).splits
    assert splits["train"] == pytest.approx(240, abs=25)
    assert splits["validation"] == pytest.approx(30, abs=16)
    assert splits["test"] == pytest.approx(30, abs=16)
    # The same in another project: nothing is drawn.
    assert load(session, make_project(session), path).splits == splits


def test_a_turned_photo_counts_as_it_is_seen(
    session: Session, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    photo = PillowImage.new("RGB", (80, 40), "red")
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "images/1.jpg", exif=exif)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1, image="1.jpg")]))
    image = session.scalars(select(Image)).one()
    assert (image.width, image.height, image.media_type) == (40, 80, "image/jpeg")


def test_the_same_file_again_changes_nothing(
    session: Session, project: Project, tmp_path: Path, store: Path
) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, facts={"n": 1.0}), row(2), row(3)])
    load(session, project, path)
    before = count_rows(session), stored_files(store)
    for update in (False, True):
        report = load(session, project, path, update=update)
        assert (report.n_added, report.n_updated, report.n_unchanged) == (0, 0, 3)
        assert (report.changed, report.refused, report.n_images) == ([], [], 0)
    assert (count_rows(session), stored_files(store)) == before
    tags = session.scalars(select(Event.tag).where(Event.project_id == project.id)).all()
    assert tags == ["dataset:import:finished"]


def test_changed_rows_are_listed_and_wait_for_update(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1), row(2)]))
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, answer="blue"), row(2), row(3)])

    report = load(session, project, path)
    assert (report.n_added, report.n_unchanged, report.n_updated) == (1, 1, 0)
    assert report.changed == ["q1"]
    assert items_of(session, project)["q1"].answer == "red"
    assert report.as_lines() == [
        "3 rows (3 train): 1 added, 0 updated, 1 unchanged; 1 new images.",
        "1 rows differ from their items and were left alone; import again with --update to write "
        "them: q1",
    ]

    actor = make_user(session)
    with read_dataset([path]) as parsed:
        report = import_dataset(session, project, parsed, update=True, actor=actor)
    session.flush()
    assert (report.n_updated, report.changed) == (1, [])
    item = items_of(session, project)["q1"]
    assert (item.answer, item.version) == ("blue", 2)
    event = session.scalars(select(Event).where(Event.tag == "item:content:changed")).one()
    assert event.actor_id == actor.id
    assert event.details["old"] == {"answer": "red"}
    assert event.details["new"] == {"answer": "blue"}


def test_a_judged_item_is_not_rewritten(session: Session, project: Project, tmp_path: Path) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1), row(2)]))
    round_ = make_round(session, project, status=RoundStatus.CANCELLED)
    round_item = make_round_item(session, round_, items_of(session, project)["q1"])
    session.add(
        Judgement(
            round_item_id=round_item.id,
            round_id=round_.id,
            user_id=make_user(session).id,
            status=JudgementStatus.SUBMITTED,
            slot=1,
            max_slots=1,
            shown_order=[],
            none_fits=True,
            submitted_at=round_.status_changed_at,
        )
    )
    session.flush()
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, answer="blue"), row(2, answer="blue")])
    report = load(session, project, path, update=True)
    assert report.refused == ["q1: has been judged and is not rewritten"]
    assert report.n_updated == 1
    answers = {name: item.answer for name, item in items_of(session, project).items()}
    assert answers == {"q1": "red", "q2": "blue"}


def test_an_item_in_an_open_round_is_not_rewritten(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1)]))
    make_round_item(session, make_round(session, project), items_of(session, project)["q1"])
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, question="which one?")])
    report = load(session, project, path, update=True)
    assert report.refused == ["q1: is in a round that is still open"]
    assert items_of(session, project)["q1"].question == "what color is the ball?"


def test_a_new_picture_takes_over_the_split_of_its_item(
    session: Session, project: Project, tmp_path: Path
) -> None:
    images = write_images(tmp_path, ["1.png"])
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1, split="test")]))
    for number in range(10, 20):
        (images / "1.png").write_bytes(picture(number))
        path = write_jsonl(tmp_path / "data.jsonl", [row(1, split=...)])
        assert load(session, project, path, update=True).n_updated == 1
        assert items_of(session, project)["q1"].split is Split.TEST


def test_an_update_cannot_move_an_item_to_another_split(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    first = [row(1, split="train"), row(2, split="test")]
    load(session, project, write_jsonl(tmp_path / "data.jsonl", first))
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, image="2.png", split=...)])
    with pytest.raises(InvalidInput, match="is in split train, but its new image is in split test"):
        load(session, project, path, update=True)


def test_an_image_keeps_the_split_of_the_project(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1, split="train")]))
    path = write_jsonl(tmp_path / "more.jsonl", [row(7, image="1.png", split="test")])
    with pytest.raises(InvalidInput, match="is in split train of this project already"):
        load(session, project, path)
    path = write_jsonl(tmp_path / "more.jsonl", [row(7, image="1.png", split=...)])
    load(session, project, path)
    assert items_of(session, project)["q7"].split is Split.TRAIN


def test_a_withdrawn_image_does_not_come_back(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "data.jsonl", [row(1)]))
    image = session.scalars(select(ProjectImage)).one()
    image.withdrawn_at = project.created_at
    session.flush()
    path = write_jsonl(tmp_path / "more.jsonl", [row(9, image="1.png")])
    with pytest.raises(InvalidInput, match=r"more.jsonl, line 1: the image 1.png was withdrawn"):
        load(session, project, path)


def test_a_file_that_the_store_lost_comes_back(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    load(session, project, path)
    lost = image_path(items_of(session, project)["q1"].image_sha256, "image/png")
    lost.unlink()
    assert load(session, project, path).n_unchanged == 1
    assert lost.read_bytes() == picture(1)


def test_the_same_image_serves_two_projects(
    session: Session, project: Project, tmp_path: Path, store: Path
) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    load(session, project, path)
    load(session, make_project(session), path)
    assert count_rows(session) == (2, 2, 1)
    assert len(stored_files(store)) == 1


def test_only_one_import_at_a_time(
    session: Session, project: Project, tmp_path: Path, services: object
) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    with get_session_factory()() as other:
        assert try_lock_import(other, project.id)
        with pytest.raises(Conflict, match="Another import into this project is running"):
            load(session, project, path)
        other.rollback()
    assert load(session, project, path).n_added == 1


def test_a_file_that_changes_under_the_import_stops_it(
    session: Session, project: Project, tmp_path: Path
) -> None:
    images = write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    with read_dataset([path]) as parsed:
        (images / "1.png").write_bytes(picture(200))
        with pytest.raises(InvalidInput, match="was changed while it was imported"):
            import_dataset(session, project, parsed, update=False, actor=None)


def test_progress_is_told(session: Session, project: Project, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(1, 61)]
    write_images(tmp_path, names)
    path = write_jsonl(tmp_path / "data.jsonl", [row(number) for number in range(1, 61)])
    told: list[WorkProgress] = []
    with read_dataset([path], progress=told.append) as parsed:
        import_dataset(session, project, parsed, update=False, actor=None, progress=told.append)
    steps = {progress.step: (progress.done, progress.total) for progress in told}
    assert steps == {
        "checking images": (50, 60),
        "storing images": (60, 60),
        "adding items": (60, 60),
    }


# --- Odd pictures ---------------------------------------------------------------------------


def test_odd_pictures_are_taken_as_they_are_seen(
    session: Session, project: Project, tmp_path: Path
) -> None:
    """All that one frame can be: the import reads as models and pages do."""
    (tmp_path / "images").mkdir()
    made = {name: make() for name, (make, _) in ODD.items() if "animated" not in name}
    del made["several pages"]
    made |= {f"turned {name}": make(6) for name, make in TURNED.items()}
    for name, content in made.items():
        (tmp_path / "images" / name).write_bytes(content)
    rows = [row(number, image=name) for number, name in enumerate(made)]
    report = load(session, project, write_jsonl(tmp_path / "data.jsonl", rows))
    assert report.n_added == len(made)
    seen = {
        item.external_id: (image.width, image.height)
        for item, image in session.execute(
            select(Item, Image).join(Image, Image.sha256 == Item.image_sha256)
        )
    }
    sizes = [(32, 48) if name.startswith("turned") else (48, 32) for name in made]
    assert seen == {f"q{number}": size for number, size in enumerate(sizes)}


def test_an_import_says_how_many_pictures_tell_where_they_were_taken(
    session: Session, project: Project, tmp_path: Path
) -> None:
    images = write_images(tmp_path)
    (images / "1.png").write_bytes(saved(halves(), "PNG", exif=with_position()))
    (images / "2.png").write_bytes(TURNED["PNG, XMP"](1))
    path = write_jsonl(tmp_path / "data.jsonl", [row(1), row(2), row(3), row(4, image="1.png")])
    warnings = load(session, project, path).warnings
    assert [line for line in warnings if "GPS" in line] == [
        "2 of 3 images tell where they were taken (GPS). Nobody is shown that, and it is in no "
        "release; the files as you gave them stay in the store and in backups."
    ]
