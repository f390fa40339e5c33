"""What annotators see, in German: judging, practice, the own work, the start page, the keys."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from bs4 import BeautifulSoup
from httpx2 import Response
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.errors import Conflict
from app.kit.sentences import CountedSentence, Sentence, pack, unpack
from app.lifecycle import JUDGEABLE_ROUND, Decision, PracticeMode, RoundStatus
from app.models import Project, Round, User
from app.queries.judging.empty_queue import QueueFigures
from app.services.judging.leases import require_judgeable
from app.services.projects import guidelines
from app.web.language.languages import read_catalogue, speaking, translate
from app.web.pages.judging.words import explain_empty
from tests.app.routes.judging.test_practice import add_lesson
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

SAID_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt")


@pytest.fixture
def noor(session: Session) -> User:
    return make_user(session, name="Noor")


@pytest.fixture
def project(session: Session, noor: User) -> Project:
    project = make_project(session, name="Szenen")
    make_membership(session, project, noor)
    return project


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    round_ = make_round(session, project)
    for number in range(4):
        item = make_item(session, project, question=f"wer ist Nummer {number}?")
        make_round_item(session, round_, item, slots=2)
    return round_


@pytest.fixture
def german(client: TestClient, session: Session, noor: User) -> TestClient:
    client.headers["Accept-Language"] = "de"
    return sign_in(client, session, noor)


@cache
def english() -> re.Pattern[str]:
    """Any of our texts that reads otherwise in German, with whatever stands in its places."""
    forms = []
    for message in read_catalogue("de"):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        said = [message.string] if isinstance(message.string, str) else list(message.string)
        forms += [one for one in ids if one and one not in said]
    # What has places only, such as “%(prompt)s”, would fit everything.
    worded = [form for form in forms if re.search("[a-z]{2}", re.sub(r"%\(\w+\)s", "", form))]
    places = [re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(form)) for form in worded]
    return re.compile("|".join(place.replace("%%", "%") for place in places))


def said_in(soup: BeautifulSoup) -> Iterator[str]:
    for left_out in soup.select("[lang=en], script, [dir=auto]"):
        if left_out.name != "html":
            left_out.decompose()
    yield from (" ".join(text.split()) for text in soup.stripped_strings)
    for element in soup.find_all(True):
        yield from (str(element[key]) for key in SAID_ATTRIBUTES if element.get(key))


def german_only(response: Response) -> Response:
    """The answer, which says nothing in English that our catalogue says in German."""
    left = [text for text in said_in(page(response)) if english().fullmatch(text)]
    assert left == [], response.url
    html = page(response).select("html")
    assert [root["lang"] for root in html] in ([], ["de"])
    return response


def answer_form(response: Response) -> tuple[str, dict[str, str]]:
    """The address of the item that is shown, and its form with the first rationale picked."""
    fields = ("version", "active_ms")
    form = {name: str(one(response, f"#answer [name={name}]")["value"]) for name in fields}
    form["picked"] = str(page(response).select("#answer [name=picked]")[0]["value"])
    return f"/judgements/{one(response, '#answer')['data-judgement-id']}", form


# --- Judging ---------------------------------------------------------------------------------


def test_judging_from_the_first_item_to_taking_back(german: TestClient, round_: Round) -> None:
    judging = f"/rounds/{round_.id}/judge"
    first = german_only(german.get(judging))
    assert (
        text_of(first, ".choices > legend") == "Alle guten Begründungen für diese Antwort auswählen"
    )
    assert "Keine passt" in text_of(first, ".keys__table")
    address, form = answer_form(first)
    nothing = {**form, "picked": []}
    refused = german_only(german.post(f"{address}/submit", data=nothing, headers=HTMX))
    assert "Noch ist nichts gewählt" in text_of(refused, "#answer-error")
    saved = german_only(german.post(f"{address}/draft", data=form, headers=HTMX))
    assert text_of(saved, "#saved") == "✓ Gespeichert v1"
    form["version"] = "1"
    second = german_only(german.post(f"{address}/submit", data=form, headers=HTMX))
    assert "1 heute" in text_of(second, ".bar__state")
    skipped, _ = answer_form(second)
    reason = one(second, "[name=reason]:nth-of-type(1)")
    assert "Am Bild nicht zu erkennen" in reason.text
    german_only(german.post(f"{skipped}/skip", data={"reason": str(reason["value"])}, headers=HTMX))
    for own in ("/mine", f"/rounds/{round_.id}/mine"):
        listed = text_of(german_only(german.get(own)), ".rows")
        assert "abgegeben" in listed
        assert "Übersprungen: Am Bild nicht zu erkennen" in listed
    back = german_only(german.post(f"{address}/take-back", headers=HTMX))
    assert "Zurückgenommen." in text_of(back, ".notice")
    german_only(german.post(f"{address}/take-back", follow_redirects=True))
    pause = german_only(german.post(f"{address}/release", follow_redirects=True))
    assert "Die Auswahl bleibt erhalten" in text_of(pause, "#toasts")


def test_two_versions_of_an_answer(german: TestClient, round_: Round) -> None:
    address, form = answer_form(german.get(f"/rounds/{round_.id}/judge"))
    german.post(f"{address}/draft", data=form)
    candidate = form.pop("picked")
    other = {**form, "none_fits": "true", "comment": "Unclear", "is_flagged": "true"}
    other["fault"] = [f"{candidate}:wrong_about_image", f"{candidate}:unclear"]
    for headers in ({}, HTMX):
        conflict = german_only(german.post(f"{address}/draft", data=other, headers=headers))
        assert conflict.status_code == 409
        assert "in einem anderen Tab" in text_of(conflict, "#conflict")
        lines = [line.text for line in page(conflict).select("#conflict li")]
        assert "Keine passt" in lines
        assert "Kommentar: Unclear" in lines  # what a person wrote
        assert any(line.endswith(": falsch zum Bild, unklar") for line in lines), lines


def test_what_a_person_wrote_is_never_translated(
    german: TestClient, session: Session, project: Project, round_: Round
) -> None:
    question = make_item(session, project, question="Saved", answer="Skip")
    make_round_item(session, round_, question, texts=("Unclear", "None fits")).priority = -9
    session.commit()
    shown = [german.get(f"/rounds/{round_.id}/judge")]
    while text_of(shown[-1], "#question") != "Saved":
        address, form = answer_form(shown[-1])
        shown.append(german.post(f"{address}/submit", data=form, headers=HTMX))
    texts = [text.text for text in page(shown[-1]).select(".offer .choice__text")]
    assert sorted(texts) == ["None fits", "Unclear"]
    assert text_of(shown[-1], ".asked__answer strong") == "Skip"


@pytest.mark.parametrize("status", sorted(set(RoundStatus) - JUDGEABLE_ROUND))
def test_a_round_that_cannot_be_judged_says_why(
    german: TestClient, session: Session, round_: Round, status: RoundStatus
) -> None:
    address, form = answer_form(german.get(f"/rounds/{round_.id}/judge"))
    closed = session.get_one(Round, round_.id)
    closed.status = status
    closed.decision = Decision.CONTINUE if status is RoundStatus.COMPLETED else None
    session.commit()
    german_only(german.get(f"/rounds/{round_.id}/judge"))
    refused = german_only(german.post(f"{address}/submit", data=form, headers=HTMX))
    assert f"Runde {round_.number} " in text_of(refused, "#conflict p")
    german_only(german.get(f"/rounds/{round_.id}/mine"))
    german_only(german.get("/"))
    with pytest.raises(Conflict) as error:
        require_judgeable(closed)
    assert error.value.message.startswith(f"Round {round_.number} ")


NOTHING_LEFT = QueueFigures(
    n_waiting=0, n_held_by_others=0, n_skipped=0, n_for_others=0, n_limit=None, next_free_at=None
)


@pytest.mark.parametrize(
    "field", ["n_limit", "n_waiting", "n_held_by_others", "n_skipped", "n_for_others"]
)
def test_an_empty_queue_explains_itself(field: str) -> None:
    for n in (1, 1200):
        said = explain_empty(RoundStatus.JUDGING, replace(NOTHING_LEFT, **{field: n}))
        with speaking("de"):
            title, text = map(translate, said)
        assert not english().fullmatch(title)
        assert ("1.200 " if n > 1 else "1 ") in text
        assert ("Einträge" in text) == (n > 1)


# --- Pieces and refusals that a script shows ----------------------------------------------------


def test_a_piece_is_in_the_language_of_the_page_that_asks(
    german: TestClient, session: Session, noor: User, round_: Round
) -> None:
    """The choice is the account's: a lost session, or another tab, must not change the page."""
    noor.language = "de"
    session.commit()
    german.headers["Accept-Language"] = "en"
    address, form = answer_form(german.get(f"/rounds/{round_.id}/judge"))
    asked = {**HTMX, "Page-Language": "en"}
    saved = german.post(f"{address}/draft", data=form, headers=asked)
    assert text_of(saved, "#saved") == "✓ Saved v1"
    german.cookies.clear()
    asked["Page-Language"] = "de"
    lost = german_only(german.post(f"{address}/draft", data=form, headers=asked))
    assert lost.status_code == 401
    assert text_of(lost, ".lede") == "Bitte anmelden, um diese Seite zu sehen."
    wrong = {"name": "Noor", "password": "x"}
    refused = german_only(german.post("/sign-in", data=wrong, headers=asked))
    assert text_of(refused, "#sign-in-error") == "Der Name oder das Passwort stimmt nicht."
    used = german_only(german.post("/sign-in/link/nothing", headers=asked))
    assert "schon benutzt oder abgelaufen" in text_of(used, ".lede")
    assert german.get("/sign-in", headers={"Page-Language": "tlh"}).status_code == 200


def test_the_judging_page_brings_what_its_scripts_say(german: TestClient, round_: Round) -> None:
    said = str(one(german.get(f"/rounds/{round_.id}/judge"), "body")["data-texts"])
    for text in ("Wird gespeichert", "Als Nächstes", "Kopiert", "warten auf die Verbindung"):
        assert text in said
    assert "Wird gespeichert" not in str(one(german.get("/mine"), "body")["data-texts"])


def test_refusals_of_what_is_not_there(german: TestClient, round_: Round) -> None:
    for address in ("/judgements/999", "/rounds/999/judge", "/projects/nein/practice", "/nein"):
        missing = german_only(german.get(address))
        assert missing.status_code == 404
        assert text_of(missing, "h1") == "Nicht gefunden"
    assert round_.id


# --- Beside judging ----------------------------------------------------------------------------


def test_practice_from_the_start_to_the_result(
    german: TestClient, session: Session, project: Project, round_: Round
) -> None:
    add_lesson(session, project, "wo ist der Ball?")
    add_lesson(session, project, "was ist rot?", is_wrong=True)
    session.get_one(Project, project.id).practice = PracticeMode.REQUIRED
    session.commit()
    address = f"/projects/{project.slug}/practice"
    assert "Zuerst üben" in german_only(german.get("/")).text
    start = german_only(german.get(f"/rounds/{round_.id}/judge", follow_redirects=True))
    assert "2 Einträge, zu beurteilen wie die echten" in text_of(start, ".lede")
    item = german_only(german.post(address, follow_redirects=True))
    action = str(one(item, "#answer")["action"])
    refused = german_only(german.post(action))
    assert "Noch ist nichts gewählt" in text_of(refused, ".notice[role=alert]")
    one_right = page(item).select("[name=picked]")[0]["value"]
    german_only(german.post(action, data={"picked": str(one_right)}, follow_redirects=True))
    second = german_only(german.get(address))
    action = str(one(second, "#answer")["action"])
    wrong = german.post(action, data={"none_fits": "true"}, follow_redirects=True)
    assert "Die Antwort ist falsch, was nicht angegeben wurde." in german_only(wrong).text
    result = german_only(german.get(address))
    assert text_of(result, "h1") in ("Noch nicht geschafft", "Bereit zum Beurteilen")
    assert re.search(r"^\d+ % der Urteile waren richtig\b.*\. \w", text_of(result, ".lede"))


def test_changed_guidelines_are_told(
    german: TestClient, session: Session, project: Project, round_: Round, noor: User
) -> None:
    project = session.get_one(Project, project.id)
    guidelines.update_guidelines(session, project, guidelines="Alt.", actor=None)
    guidelines.mark_read(session, project, noor, number=project.guidelines_version)
    session.commit()
    german.get(f"/rounds/{round_.id}/judge")
    guidelines.update_guidelines(session, project, guidelines="Neu.", actor=None)
    session.commit()
    told = german_only(german.get(f"/rounds/{round_.id}/judge"))
    assert "Die Richtlinien haben sich geändert" in text_of(told, "#guidelines-changed")


def test_the_own_keys(german: TestClient) -> None:
    german_only(german.get("/account/keys"))
    both = {"action": ["none", "skip"], "key": ["x", "x"]}
    refused = german_only(german.post("/account/keys", data=both))
    assert "„x“ ist die Taste für „Keine passt“ und „Überspringen, mit Grund“." in text_of(
        refused, "#keys-error"
    )
    none = german_only(german.post("/account/keys", data={"action": ["none"], "key": ["Tab"]}))
    assert "„Keine passt“: „Tab“ ist keine verwendbare Taste." in text_of(none, "#keys-error")
    kept = german.post("/account/keys", data={"action": ["none"], "key": ["x"]})
    assert kept.status_code == 303
    assert "Die Tasten sind gespeichert." in german_only(german.get("/account/keys")).text


def test_the_start_page_without_anything(german: TestClient) -> None:
    home = german_only(german.get("/"))
    assert text_of(home, "h1") == "Hallo Noor"
    assert "Noch in keinem Projekt Mitglied" in home.text
    german_only(german.get("/mine"))


# --- Sentences -------------------------------------------------------------------------------


def test_a_counted_sentence_has_the_form_of_its_number_and_keeps_it_in_a_cookie() -> None:
    left = [
        CountedSentence(
            "%(n)s item still needs the view of somebody else.",
            "%(n)s items still need the view of somebody else.",
            n=n,
        )
        for n in (1, 1200)
    ]
    assert left == [
        "1 item still needs the view of somebody else.",
        "1,200 items still need the view of somebody else.",
    ]
    why = Sentence("%(reason)s Thank you.", reason=left[1])
    for said in (*left, why):
        assert unpack(pack(said)) == said
    with speaking("de"):
        assert [translate(unpack(pack(one))) for one in left] == [
            "1 Eintrag braucht noch die Sicht einer anderen Person.",
            "1.200 Einträge brauchen noch die Sicht einer anderen Person.",
        ]
