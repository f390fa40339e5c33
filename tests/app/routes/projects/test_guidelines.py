"""Guidelines in versions: written, compared, shown as changed once, and named by judgements."""

import random
import time

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from app.metrics.rouge import common_subsequence_length
from app.models import GuidelinesDifference, Judgement, Project, Round
from app.services.projects.differences import MOST_LINES, DiffLine, Mark, diff_lines
from app.services.projects.guidelines import update_guidelines
from app.web.render.markdown import render_markdown
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Scenes")


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    round_ = make_round(session, project)
    for _ in range(3):
        make_round_item(session, round_, make_item(session, project))
    return round_


def become(
    client: TestClient, session: Session, project: Project, role: Role = Role.ANNOTATOR
) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, role)
    return sign_in(client, session, user)


def judge(client: TestClient, round_id: int, *, htmx: bool = False) -> object:
    response = client.get(f"/rounds/{round_id}/judge", headers=HTMX if htmx else {})
    assert response.status_code == 200
    return response


def submit(client: TestClient, session: Session, *, htmx: bool = False) -> object:
    held = session.scalars(
        select(Judgement).where(Judgement.submitted_at.is_(None)).order_by(Judgement.id.desc())
    ).first()
    assert held is not None
    return client.post(
        f"/judgements/{held.id}/submit",
        data={"version": str(held.version), "none_fits": "true"},
        headers=HTMX if htmx else {},
    )


def test_a_change_is_shown_until_it_is_read_and_then_never_again(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    round_id, slug = round_.id, project.slug
    assert not page(judge(client, round_id)).select("#guidelines-changed")  # type: ignore[arg-type]
    update_guidelines(session, project, guidelines="Pick what is true.", actor=None)
    for _ in range(2):
        shown = judge(client, round_id)
        assert one(shown, "#guidelines").has_attr("open")  # type: ignore[arg-type]
        changed = text_of(shown, "#guidelines-changed")  # type: ignore[arg-type]
        assert "Gone: Pick every rationale that fits." in changed
        assert "New: Pick what is true." in changed
    read = client.post(
        f"/projects/{slug}/guidelines/read",
        data={"number": "2", "next": f"/rounds/{round_id}/judge"},
    )
    assert (read.status_code, read.headers["location"]) == (303, f"/rounds/{round_id}/judge")
    assert not page(judge(client, round_id)).select("#guidelines-changed")  # type: ignore[arg-type]


def test_each_annotator_is_told_for_themselves(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    round_id, slug = round_.id, project.slug
    noor, lin = make_user(session, name="Noor"), make_user(session, name="Lin")
    for user in (noor, lin):
        make_membership(session, project, user)
        sign_in(client, session, user)
        judge(client, round_id)
    update_guidelines(session, project, guidelines="New.", actor=None)
    sign_in(client, session, noor)
    client.post(f"/projects/{slug}/guidelines/read", data={"number": "2"})
    sign_in(client, session, lin)
    assert page(judge(client, round_id)).select("#guidelines-changed")  # type: ignore[arg-type]


def test_who_comes_later_sees_the_newest_and_no_change(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    update_guidelines(session, project, guidelines="Newest.", actor=None)
    become(client, session, project)
    shown = judge(client, round_.id)
    assert "Newest." in text_of(shown, ".guide__panel")  # type: ignore[arg-type]
    assert not page(shown).select("#guidelines-changed")  # type: ignore[arg-type]


def test_new_guidelines_come_with_the_next_item_to_a_page_that_stays_open(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    judge(client, round_.id)
    update_guidelines(session, project, guidelines="Only now.", actor=None)
    brought = submit(client, session, htmx=True)
    assert "Only now." in text_of(brought, "#guide-place .prose")  # type: ignore[arg-type]
    client.post(f"/projects/{project.slug}/guidelines/read", data={"number": "2"}, headers=HTMX)
    brought = submit(client, session, htmx=True)
    assert not page(brought).select("#guide-place")  # type: ignore[arg-type]


def test_a_judgement_names_the_version_that_its_annotator_had_before_them(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    judge(client, round_.id)
    submit(client, session)
    judge(client, round_.id)
    update_guidelines(session, project, guidelines="Changed while an item is held.", actor=None)
    judge(client, round_.id)  # the same item, now beside the new text
    submit(client, session)
    named = session.scalars(select(Judgement.guidelines_version).order_by(Judgement.id)).all()
    assert list(named) == [1, 2]


def test_reading_an_old_version_takes_nothing_back_and_a_future_one_is_refused(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    url = f"/projects/{project.slug}/guidelines/read"
    update_guidelines(session, project, guidelines="Two.", actor=None)
    for number, status in (("2", 303), ("1", 303), ("3", 422), ("0", 422)):
        assert client.post(url, data={"number": number}).status_code == status
    assert not page(judge(client, round_.id)).select("#guidelines-changed")  # type: ignore[arg-type]


# --- Admins ---------------------------------------------------------------------------------


def test_admins_see_versions_with_their_differences_and_judgements(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project, Role.ADMIN)
    judge(client, round_.id)
    submit(client, session)
    url = f"/projects/{project.slug}/guidelines"
    assert client.post(url, data={"guidelines": "One.\n\nTwo."}).status_code == 303
    assert client.post(url, data={"guidelines": "One.\n\nThree."}).status_code == 303
    shown = client.get(url)
    rows = [" ".join(row.get_text(" ").split()) for row in page(shown).select("tbody tr")]
    assert [row.split()[1] for row in rows] == ["3", "2", "1"]
    assert rows[2].endswith("– 1"), "one judgement under the first version"
    assert text_of(shown, "section[aria-labelledby=changes-title] ul") == (
        "One. Gone: Two. New: Three."
    )
    earlier = client.get(f"{url}?version=2")
    assert text_of(earlier, "section[aria-labelledby=read-title] .prose") == "One. Two."
    assert client.get(f"{url}?version=9").status_code == 404


def test_of_two_admins_who_write_at_once_the_second_keeps_their_text(
    client: TestClient, session: Session, project: Project
) -> None:
    become(client, session, project, Role.ADMIN)
    url = f"/projects/{project.slug}/guidelines"
    assert client.post(url, data={"guidelines": "First", "version": "1"}).status_code == 303
    refused = client.post(url, data={"guidelines": "Second", "version": "1"})
    assert refused.status_code == 409
    assert one(refused, "textarea[name=guidelines]").text == "Second"
    assert one(refused, "input[name=version]")["value"] == "2"
    assert client.post(url, data={"guidelines": "Second", "version": "2"}).status_code == 303
    session.refresh(project)
    assert (project.guidelines, project.guidelines_version) == ("Second", 3)


def test_annotators_do_not_see_the_versions(
    client: TestClient, session: Session, project: Project
) -> None:
    become(client, session, project)
    assert client.get(f"/projects/{project.slug}/guidelines").status_code == 403


# --- Texts ----------------------------------------------------------------------------------


def test_differences_show_changed_lines_with_their_surroundings() -> None:
    old = "one\ntwo\nthree\nfour\nfive\nsix"
    assert diff_lines(old, old.replace("four", "4")) == (
        DiffLine(Mark.GAP),
        DiffLine(Mark.SAME, "three"),
        DiffLine(Mark.REMOVED, "four"),
        DiffLine(Mark.ADDED, "4"),
        DiffLine(Mark.SAME, "five"),
        DiffLine(Mark.GAP),
    )
    assert diff_lines(old, old) == ()
    assert diff_lines("", "new") == (DiffLine(Mark.ADDED, "new"),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pick it\n" * 8000, "pick it\n" * 4000 + "not this\n" + "pick it\n" * 3999),
        ("a\n" * 50_000, "b\n" * 50_000),
        ("a\nb\n" * 25_000, "b\na\n" * 25_000),
        ("\n".join(map(str, range(15_000))), "\n".join(map(str, range(15_000, 0, -1)))),
        ("a\n" * 25_000 + "b\n" * 25_000, "b\n" * 25_000 + "a\n" * 25_000),
    ],
    ids=["like lines", "another text", "lines that change places", "backwards", "halves"],
)
def test_differences_of_long_texts_are_made_in_time_and_are_no_longer_than_one_can_read(
    old: str, new: str
) -> None:
    started = time.process_time()
    lines = diff_lines(old, new)
    assert time.process_time() - started < 4  # hours, with an algorithm whose steps multiply
    assert 0 < len(lines) <= MOST_LINES + 1
    assert (lines[-1].kind is Mark.CUT) == (len(lines) > MOST_LINES)


def test_differences_are_as_short_as_can_be_and_lose_no_line() -> None:
    chance = random.Random(0)
    for _ in range(500):
        old, new = ([chance.choice("abc") for _ in range(chance.randint(0, 8))] for _ in range(2))
        lines = diff_lines("\n".join(old), "\n".join(new))
        n_changed = sum(line.kind in {Mark.ADDED, Mark.REMOVED} for line in lines)
        assert n_changed == len(old) + len(new) - 2 * common_subsequence_length(old, new)
        for text, mark in ((old, Mark.REMOVED), (new, Mark.ADDED)):
            shown = [line.text for line in lines if line.kind in {mark, Mark.SAME}]
            assert common_subsequence_length(shown, text) == len(shown)


def test_a_difference_is_made_when_guidelines_are_saved_and_only_read_by_pages(
    client: TestClient,
    session: Session,
    project: Project,
    round_: Round,
) -> None:
    become(client, session, project)
    round_id, project_id = round_.id, project.id
    judge(client, round_id)
    update_guidelines(session, project, guidelines="Two.", actor=None)
    kept = session.scalars(select(GuidelinesDifference)).one()
    assert (kept.project_id, kept.old_number, kept.new_number) == (project_id, 1, 2)
    # What is shown is what is kept, whatever the texts would give now.
    kept.lines = [["added", "as it was kept"]]
    session.commit()
    assert "as it was kept" in text_of(judge(client, round_id), "#guidelines-changed")  # type: ignore[arg-type]


def test_a_difference_over_several_versions_is_made_once_by_who_asks_first(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    round_id = round_.id
    judge(client, round_id)
    for text in ("Two.", "Three."):
        update_guidelines(session, project, guidelines=text, actor=None)
    for _ in range(2):
        changed = text_of(judge(client, round_id), "#guidelines-changed")  # type: ignore[arg-type]
        assert "New: Three." in changed
        assert "Two." not in changed
    kept = session.scalars(select(GuidelinesDifference)).all()
    assert {(one.old_number, one.new_number) for one in kept} == {(1, 2), (2, 3), (1, 3)}


def test_a_text_that_changed_too_much_says_that_the_rest_is_left_out(
    client: TestClient, session: Session, project: Project, round_: Round
) -> None:
    become(client, session, project)
    round_id = round_.id
    judge(client, round_id)
    update_guidelines(session, project, guidelines="new\n" * 5000, actor=None)
    changed = judge(client, round_id)
    assert "The rest is left out here: read the whole text." in text_of(
        changed,  # type: ignore[arg-type]
        "#guidelines-changed",
    )
    assert len(page(changed).select(".diff__line")) == MOST_LINES + 1  # type: ignore[arg-type]


def test_examples_stand_in_boxes_and_stay_text() -> None:
    html = str(render_markdown("```fits\n<b>two</b> cubes\n\nwhy & how\n```\n\n```\ncode\n```"))
    assert "<figcaption>Fits</figcaption>" in html
    assert "<blockquote>&lt;b&gt;two&lt;/b&gt; cubes</blockquote><p>why &amp; how</p>" in html
    assert "<pre><code>code" in html
    assert "Does not fit" in str(render_markdown("```misfit\nx\n```"))
