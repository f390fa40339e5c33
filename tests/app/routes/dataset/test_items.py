"""The list of items, one item with its lineage, and what an admin does with it."""

from collections.abc import Callable

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Job, JudgementStatus, Purpose, Role, RoundItemState, RunStatus, Split
from app.models import (
    Admission,
    Candidate,
    Item,
    Judgement,
    Prediction,
    Project,
    RoundCandidate,
    RunShard,
    Sample,
    VerdictRow,
)
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def questions(response: object) -> list[str]:
    return [link.text for link in page(response).select("#items th a")]  # type: ignore[arg-type]


def test_pages_of_an_item_by_who_asks(
    client: TestClient, session: Session, project: Project
) -> None:
    url = f"/items/{make_item(session, project).id}"
    stranger, annotator = make_user(session), make_user(session)
    make_membership(session, project, annotator)
    session.commit()

    def statuses() -> set[int]:
        pages = {client.get(url + path).status_code for path in ("", "/exclude", "/correct")}
        posts = ("/exclude", "/include", "/correct")
        return pages | {client.post(url + path).status_code for path in posts}

    assert statuses() == {303}
    sign_in(client, session, stranger)
    assert statuses() == {404}
    sign_in(client, session, annotator)
    assert statuses() == {403}


# --- The list -------------------------------------------------------------------------------


def test_list_filters_by_split_state_and_text(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    covered = make_item(session, project, question="covered?")
    round_item = make_round_item(session, round_, covered)
    candidate = session.query(Candidate).filter_by(item_id=covered.id).first()
    assert candidate is not None
    session.add(
        Admission(
            round_id=round_.id, candidate_id=candidate.id, item_id=covered.id,
            purpose=Purpose.TRAINING, policy="any", judge_kind="person", n_fits=1, n_votes=1,
        )
    )  # fmt: skip
    aside = make_item(session, project, question="set aside?")
    make_round_item(session, round_, aside, state=RoundItemState.SET_ASIDE)
    out = make_item(session, project, question="excluded?")
    out.excluded_at, out.excluded_reason = func.now(), "blurred"
    make_item(session, project, question="open 100%?", split=Split.TRAIN, answer="bl_ue")
    make_item(session, project, question="held out?", split=Split.TEST)
    assert round_item.id
    url = f"/projects/{project.slug}/items"

    def found(query: str) -> list[str]:
        return questions(admin.get(f"{url}?{query}"))

    assert len(found("")) == 5
    assert found("split=test") == ["held out?"]
    assert found("only=covered") == ["covered?"]
    assert found("only=uncovered") == ["set aside?", "open 100%?"]
    assert found("only=set_aside") == ["set aside?"]
    assert found("only=excluded") == ["excluded?"]
    assert found("q=HELD") == ["held out?"]
    assert found("q=100%25%3F") == ["open 100%?"]  # a percent sign is no wildcard
    assert found("q=l_u") == ["open 100%?"]
    assert found("split=train&only=uncovered&q=open") == ["open 100%?"]
    assert len(found("split=nonsense&only=nonsense")) == 5
    assert "Nothing matches" in admin.get(f"{url}?q=nothing").text


def test_list_is_paged_and_keeps_its_filters(
    admin: TestClient, session: Session, project: Project
) -> None:
    for number in range(55):
        make_item(session, project, question=f"question {number}?")
    url = f"/projects/{project.slug}/items?q=question"
    first = admin.get(url)
    assert len(questions(first)) == 50
    assert "55 items" in text_of(first, "#items > p")
    second = admin.get(one(first, "a[rel=next]")["href"])
    assert questions(second) == [f"question {number}?" for number in range(50, 55)]
    back = one(second, ".pager a")
    assert questions(admin.get(back["href"])) == questions(first)


def test_list_as_a_fragment_is_the_piece_of_the_page(
    admin: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project)
    url = f"/projects/{project.slug}/items"
    fragment = admin.get(url, headers=HTMX)
    assert "<html" not in fragment.text
    assert str(one(fragment, "#items")) == str(one(admin.get(url), "#items"))
    restored = admin.get(url, headers=HTMX | {"HX-History-Restore-Request": "true"})
    assert "<html" in restored.text


def test_list_needs_no_more_queries_for_more_items(
    admin: TestClient,
    session: Session,
    project: Project,
    count_queries: Callable[[Callable[[], object]], int],
) -> None:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))

    def show() -> None:
        assert admin.get(f"/projects/{project.slug}/items").status_code == 200

    few = count_queries(show)
    for _ in range(10):
        make_round_item(session, round_, make_item(session, project))
    assert count_queries(show) == few


# --- One item -------------------------------------------------------------------------------


def judge_and_sample(session: Session, project: Project) -> Item:
    """An item with three candidates; two people picked the second, one of them the third too."""
    round_ = make_round(session, project)
    item = make_item(session, project)
    texts = ["first <b>text</b>", "second text", "third text"]
    round_item = make_round_item(session, round_, item, texts=texts, slots=2)
    shown = session.query(RoundCandidate).filter_by(item_id=item.id).order_by("rank").all()
    ids = [entry.candidate_id for entry in shown]
    for slot, picked in enumerate(([ids[1]], [ids[1], ids[2]]), start=1):
        user = make_user(session, name=f"judge {slot}")
        judgement = Judgement(
            round_item_id=round_item.id, round_id=round_.id, user_id=user.id, slot=slot,
            max_slots=2, status=JudgementStatus.SUBMITTED, shown_order=ids[::-1], picked=picked,
            submitted_at=func.now(), comment="a comment" if slot == 1 else "", is_flagged=slot == 1,
        )  # fmt: skip
        session.add(judgement)
        session.flush()
        for position, candidate_id in enumerate(ids[::-1], start=1):
            session.add(
                VerdictRow(
                    judgement_id=judgement.id, candidate_id=candidate_id, round_id=round_.id,
                    none_fits=False, answer_is_wrong=False, fits=candidate_id in picked,
                    position=position,
                )
            )  # fmt: skip
    session.add(
        Admission(
            round_id=round_.id, candidate_id=ids[1], item_id=item.id, policy="majority",
            judge_kind="person", n_fits=2, n_votes=2,
        )
    )  # fmt: skip
    run = make_run(session, project, Job.GENERATE, round_=round_)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id])
    session.add(shard)
    session.flush()
    session.add(
        Sample(
            run_id=run.id, shard_id=shard.id, shard_attempt=0, item_id=item.id,
            candidate_id=ids[1], strategy="direct", prompt=", seeing that", temperature=0.3,
            number=4, seed=987654, log_probability=-2.5, n_tokens=5,
        )
    )  # fmt: skip
    session.flush()
    return item


def test_item_shows_candidates_votes_and_lineage(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = judge_and_sample(session, project)
    response = admin.get(f"/items/{item.id}")
    cards = page(response).select("article.card")
    assert [card.select_one("strong").text for card in cards] == [
        "second text", "third text", "first <b>text</b>",
    ]  # fmt: skip
    best = " ".join(cards[0].get_text(" ").split())
    for part in (
        "2 of 2 people", "admitted", "1 draw", "shown (often drawn)", "2 of 2 votes",
        "admitted by majority", "position 2", "base model", "“, seeing that”", "0.3", "987654",
        "-2.50",
    ):  # fmt: skip
        assert part in best
    assert "1 of 2 people" in cards[1].get_text(" ")
    judgements = text_of(response, 'section[aria-labelledby="judgements-title"]')
    assert "judge 1 , round 1: picked 1 of 3 flagged a comment" in judgements


@pytest.mark.parametrize(
    ("fits", "fault", "verdict"), [(False, "untrue", "untrue"), (None, None, "no verdict")]
)
def test_held_out_item_shows_what_the_model_said(
    admin: TestClient,
    session: Session,
    project: Project,
    fits: bool | None,
    fault: str | None,
    verdict: str,
) -> None:
    item = make_item(session, project, split=Split.TEST)
    run = make_run(session, project, Job.BASELINE, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id])
    session.add(shard)
    session.flush()
    session.add(
        Prediction(
            run_id=run.id, shard_id=shard.id, shard_attempt=0, item_id=item.id, split=Split.TEST,
            answer="green", rationale="it is green", answer_is_right=False, fits=fits, fault=fault,
        )
    )  # fmt: skip
    response = admin.get(f"/items/{item.id}")
    said = text_of(response, 'section[aria-labelledby="predictions-title"]')
    assert f"Base model: green wrong it is green {verdict}" in said
    assert "never judged for training" in response.text


def test_item_page_needs_no_more_queries_for_more_candidates(
    admin: TestClient,
    session: Session,
    project: Project,
    count_queries: Callable[[Callable[[], object]], int],
) -> None:
    round_ = make_round(session, project)
    few, many = make_item(session, project), make_item(session, project)
    make_round_item(session, round_, few, texts=["one"])
    make_round_item(session, round_, many, texts=[f"text {number}" for number in range(10)])

    def show(item: Item) -> Callable[[], None]:
        url = f"/items/{item.id}"

        def call() -> None:
            assert admin.get(url).status_code == 200

        return call

    assert count_queries(show(few)) == count_queries(show(many))


# --- Excluding and correcting ---------------------------------------------------------------


def test_exclude_asks_for_a_reason_and_include_takes_it_back(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project)
    url = f"/items/{item.id}"
    assert admin.get(f"{url}/exclude").status_code == 200
    wrong = admin.post(f"{url}/exclude", data={"reason": " "})
    assert wrong.status_code == 422
    assert one(wrong, "#field-reason")["aria-invalid"] == "true"
    assert admin.post(f"{url}/exclude", data={"reason": "too blurred"}).status_code == 303
    shown = admin.get(url)
    assert "too blurred" in text_of(shown, ".notice--warn")
    assert "Excluded: too blurred" in text_of(shown, 'section[aria-labelledby="history-title"]')
    session.commit()
    assert admin.post(f"{url}/exclude", data={"reason": "again"}).status_code == 409
    form = one(shown, 'form[action$="/include"]')
    assert admin.post(form["action"]).status_code == 303
    assert not page(admin.get(url)).select(".notice--warn")
    assert admin.post(form["action"]).status_code == 409


def test_correct_in_place_and_by_replacement(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project, question="what colour?", external_id="a")
    url = f"/items/{item.id}/correct"
    form = admin.get(url)
    assert "Save the correction" in form.text
    data = {"question": "what?", "answer": "red", "gold_rationale": ["it is red", "so it is", ""]}
    assert admin.post(url, data=data).headers["Location"] == f"/items/{item.id}"
    session.refresh(item)
    assert (item.question, item.version) == ("what?", 2)
    assert item.gold_rationales == ["it is red", "so it is"]
    make_round_item(session, make_round(session, project), item)
    session.commit()
    assert "judged work is never rewritten" in admin.get(url).text
    unchanged = admin.post(url, data=data)
    assert unchanged.status_code == 422
    assert "Nothing was changed" in text_of(unchanged, "[role=alert]")
    replaced = admin.post(url, data=data | {"answer": "blue"})
    new_url = replaced.headers["Location"]
    assert new_url != f"/items/{item.id}"
    shown = admin.get(new_url)
    assert text_of(shown, ".lede") == "blue"
    assert "it was “what?” – “red”" in shown.text
    old = admin.get(one(shown, "main section a:-soup-contains('old item')")["href"])
    assert "Corrected as a~3" in text_of(old, ".notice--warn")
