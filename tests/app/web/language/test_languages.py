"""The languages of pages: complete catalogues, marked texts, and what each request gets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.resources import TEMPLATES
from app.kit.sentences import Sentence
from app.lifecycle import Role
from app.services.accounts import accounts
from app.services.projects import projects
from app.web.language.languages import (
    LANGUAGE_NAMES,
    LOCALES,
    negotiate,
    read_catalogue,
    speaking,
    translate,
)
from tests.support.browsing import one, sign_in, text_of
from tests.support.factories import make_project, make_user

REPOSITORY = TEMPLATES.parent
PAGES = sorted(str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html"))
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
PASSWORD = "correct horse battery"


# --- Catalogues -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted(LANGUAGE_NAMES.keys() - {"en"}))
def test_every_message_is_translated_with_the_same_placeholders(language: str) -> None:
    for message in read_catalogue(language):
        if not message.id:
            continue
        sources = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
        assert texts, message.id
        assert not message.fuzzy, message.id
        # The form for one may do without the number: "used once".
        wanted = [set(re.findall(r"%\(\w+\)s", source)) for source in sources]
        for index, text in enumerate(texts):
            assert text, message.id
            parts = set(re.findall(r"%\(\w+\)s", text))
            assert parts == wanted[0] if index == 0 else parts == wanted[-1], message.id
        for text in (*sources, *texts):
            # Pages ask for a text with every % of it doubled: one that stands alone is not found.
            assert "%" not in re.sub(r"%%|%\(\w+\)s", "", text), message.id


def test_the_catalogues_hold_what_is_marked(tmp_path: Path) -> None:
    """`make messages` was run after the last change of a text."""
    collected = tmp_path / "messages.pot"
    subprocess.run(
        [
            *(sys.executable, "-m", "babel.messages.frontend", "--quiet", "extract"),
            *(
                "--mapping",
                "pyproject.toml",
                "--keyword",
                "Sentence",
                "--keyword",
                "CountedSentence:1,2",
            ),
            *("--add-location", "file"),
            *("--output", str(collected), "."),
        ],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    marked = _message_ids(collected)
    assert len(marked) > 60
    for file in LOCALES.glob("*.po"):
        assert _message_ids(file) == marked, file.name


def _message_ids(file: Path) -> set[str]:
    with file.open("rb") as opened:
        return {str(message.id) for message in read_po(opened) if message.id}


@pytest.mark.parametrize("name", PAGES)
def test_templates_have_no_unmarked_text(name: str) -> None:
    source = (TEMPLATES / name).read_text()
    source = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{% trans\b.*?%\}.*?\{% endtrans %\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{% block (main|body)_class %\}.*?\{% endblock %\}", "", source)
    code = " ".join(re.findall(r"\{%.*?%\}|\{\{.*?\}\}", source, re.DOTALL))
    said = re.findall(r'(?<!_\()"([A-Z][a-z].*?)"', code)
    source = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    soup = BeautifulSoup(source, "html.parser")
    for written in soup.find_all(["code", "pre"]):
        written.decompose()  # names of files and fields
    said += [text for text in soup.stripped_strings if re.search(r"[^\W\d_]{2}", text)]
    for element in soup.find_all(True):
        said += [
            str(element[key])
            for key in ("aria-label", "title", "placeholder", "alt")
            if re.search(r"[^\W\d_]{2}", str(element.get(key, "")))
        ]
    # What is a name in every language.
    names = {"html", "ILLUME", "· ILLUME", "ILLUME · ILLUME"}
    is_attribute = re.compile(r"[a-z-]+=").match
    assert [text for text in said if text not in names and not is_attribute(text)] == []


def test_a_sentence_is_english_until_a_page_says_it_in_another_language() -> None:
    taken = Sentence("The name %(name)s is taken. Choose another.", name="100 %")
    assert taken == "The name 100 % is taken. Choose another."
    with speaking("de"):
        assert translate(taken) == "Der Name 100 % ist vergeben. Bitte einen anderen wählen."
        assert translate("What nobody translated: 5 %") == "What nobody translated: 5 %"


# --- What a request gets --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH, en;q=0.8", "de"),
        ("en-GB, de;q=0.8", "en"),
        ("fr, de;q=0.3, en;q=0.2", "de"),
        ("de;q=0", "en"),
        ("de;q=much", "en"),
    ],
)
def test_the_browser_says_which_language_comes_first(accepted: str, language: str) -> None:
    assert negotiate(accepted) == language


def test_the_signed_out_pages_in_german(client: TestClient, session: Session) -> None:
    admin = make_user(session, is_admin=True)
    project = make_project(session)
    invite = projects.make_invite(session, project, role=Role.ANNOTATOR, actor=admin)
    link = accounts.make_sign_in_link(session, admin)
    reset = accounts.make_sign_in_link(session, admin, is_reset=True)
    session.commit()
    shown = {
        "/sign-in": "Anmelden",
        reset: "Passwort setzen",
        invite: project.name,
    }
    for address, heading in shown.items():
        response = client.get(address, headers=GERMAN)
        assert one(response, "html")["lang"] == "de", address
        assert text_of(response, "h1") == heading
        assert "Neues Passwort" in response.text or address == "/sign-in"
    looked_at = client.get(link, headers={**GERMAN, "Sec-Purpose": "prefetch"})
    assert one(looked_at, "html")["lang"] == "de"
    assert text_of(looked_at, "main button") == "Mit diesem Link anmelden"


def test_refusals_on_german_pages_are_german(client: TestClient, session: Session) -> None:
    wrong = {"name": "Ada", "password": "x"}
    refused = client.post("/sign-in", data=wrong, headers=GERMAN)
    assert text_of(refused, "[role=alert]") == "Der Name oder das Passwort stimmt nicht."
    refused = client.post("/sign-in", data=wrong)
    assert text_of(refused, "[role=alert]") == "The name or the password is not right."


def test_the_choice_is_kept_with_the_account(client: TestClient, session: Session) -> None:
    ada = make_user(session)
    sign_in(client, session, ada)
    english = client.get("/account")
    assert one(english, "button[name=language]")["value"] == "de"
    chosen = client.post("/language", data={"language": "de", "next": "/account"})
    assert chosen.headers["Location"] == "/account"
    sign_in(client, session, ada)  # another browser
    account = client.get("/account", headers={"Accept-Language": "en"})
    assert one(account, "html")["lang"] == "de"
    assert "Passwort" in text_of(account, "#password-title")
    back = one(account, "button[name=language]")
    assert (back["value"], back["lang"], back.text) == ("en", "en", "English")


def test_the_choice_before_signing_in_is_kept_in_the_browser(client: TestClient) -> None:
    assert one(client.get("/sign-in"), "button[name=language]")["value"] == "de"
    client.post("/language", data={"language": "de", "next": "/sign-in?next=/mine"})
    shown = client.get("/sign-in?next=/mine")
    assert one(shown, "html")["lang"] == "de"
    form = one(shown, "form[action='/language']")
    assert form.select_one("[name=next]")["value"] == "/sign-in?next=/mine"
    assert "Abgemeldet." in client.post("/sign-out", follow_redirects=True).text
    assert client.post("/language", data={"language": "tlh"}).status_code == 422


def test_scripts_get_their_texts_with_the_page_and_english_ones_need_none(
    client: TestClient,
) -> None:
    german = one(client.get("/sign-in", headers=GERMAN), "body")
    assert '"Copied": "Kopiert"' in german["data-texts"]
    assert not one(client.get("/sign-in"), "body").has_attr("data-texts")
