"""Projects, members, people, imports and the making of practice, in German as a whole."""

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from httpx2 import Response
from jinja2 import nodes
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.errors import InvalidInput
from app.kit.sentences import CountedSentence, Sentence, pack, unpack
from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus, Split
from app.models import Invite, Project, User
from app.round_settings import LoopSettings
from app.services.dataset.imports import read_dataset
from app.services.dataset.report import ImportReport
from app.services.judging import practice_items
from app.services.projects import guidelines, projects
from app.web.language.labels import LABELS
from app.web.language.languages import read_catalogue, speaking, translate
from app.web.pages.projects.settings_fields import FIELDS
from app.web.pages.projects.settings_form import SettingsForm, form_of, read_form
from app.web.render.templating import get_templates
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.dataset_files import jsonl, own_store, picture, row, write_zip
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
)

GERMAN = {"Accept-Language": "de"}


# --- Looking for English --------------------------------------------------------------------


def english_patterns() -> list[re.Pattern[str]]:
    """The English texts that German says otherwise, their parts left open."""
    patterns = []
    for message in read_catalogue("de"):
        sources = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        for source, text in zip(sources, texts, strict=True):
            words = re.findall(r"[^\W\d_]{2,}", re.sub(r"%\(\w+\)s", "", source))
            if source != text and words:
                literals = re.split(r"%\(\w+\)s", source.replace("%%", "%"))
                patterns.append(re.compile(".+?".join(map(re.escape, literals)), re.DOTALL))
    return patterns


def said_on(response: Response) -> Iterator[str]:
    """Every text and every label of a page, without what stands in boxes of code."""
    soup = page(response)
    for code in soup.select("code, pre, script, [data-theme-form]"):
        code.decompose()
    yield from (" ".join(text.split()) for text in soup.stripped_strings)
    for element in soup.find_all(True):
        for name in ("aria-label", "title", "placeholder", "alt"):
            if element.get(name):
                yield str(element[name])


def assert_german(response: Response, *, data: Iterable[str] = ()) -> None:
    """`data`: what people wrote, and names that are the same in every language."""
    assert one(response, "html")["lang"] == "de"
    allowed = {"English", *data}
    patterns = english_patterns()
    english = [
        text
        for text in said_on(response)
        if text not in allowed and any(pattern.fullmatch(text) for pattern in patterns)
    ]
    assert english == []


# --- The pages ------------------------------------------------------------------------------


@pytest.fixture
def project(session: Session) -> Project:
    project = make_project(session, name="Szenen")
    guidelines.update_guidelines(session, project, guidelines="Genau hinsehen.", actor=None)
    return project


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> User:
    user = make_user(session, name="Ada", is_admin=True)
    make_membership(session, project, user, Role.ADMIN)
    sign_in(client, session, user)
    client.headers.update(GERMAN)
    return user


def test_the_project_pages(client: TestClient, session: Session, admin: User) -> None:
    assert_german(client.get("/projects"))
    assert_german(client.get("/projects/new"))
    refused = client.post("/projects", data={"name": " "})
    assert_german(refused)
    assert text_of(refused, ".field__error") == "Ein Name ist nötig."
    created = client.post("/projects", data={"name": "Straßen & Wege"}, follow_redirects=True)
    assert_german(created)
    assert "Straßen & Wege ist angelegt." in text_of(created, "#toasts")
    assert "Daten einbringen" in text_of(created, "#next-title")
    assert text_of(created, ".tabs [aria-current]") == "Überblick"


@pytest.mark.parametrize(
    ("status", "decision", "title"),
    [
        (RoundStatus.DRAFT, None, "Runde 1 ist noch nicht gestartet"),
        (RoundStatus.GENERATING, None, "Runde 1 erzeugt Begründungen"),
        (RoundStatus.JUDGING, None, "Runde 1 wartet auf Beurteilungen"),
        (RoundStatus.TRAINING, None, "Runde 1 trainiert das Modell"),
        (RoundStatus.EVALUATING, None, "Runde 1 wird ausgewertet"),
        (RoundStatus.CANCELLED, None, "Nächste Runde starten"),
        (RoundStatus.COMPLETED, Decision.CONTINUE, "Nächste Runde starten"),
        (
            RoundStatus.COMPLETED,
            Decision.ALL_COVERED,
            "Die Schleife ist zu Ende: Datensatz veröffentlichen",
        ),
    ],
)
def test_the_overview_in_every_state(
    client: TestClient,
    session: Session,
    project: Project,
    admin: User,
    status: RoundStatus,
    decision: Decision | None,
    title: str,
) -> None:
    for split in Split:
        make_item(session, project, split=split)
    round_ = make_round(session, project, status=RoundStatus.DRAFT)
    round_.status, round_.decision = status, decision
    session.commit()
    shown = client.get(f"/projects/{project.slug}")
    assert_german(shown)
    assert text_of(shown, "#next-title") == title
    assert_german(client.get("/projects"))


def test_the_page_of_an_annotator(client: TestClient, session: Session, project: Project) -> None:
    annotator = make_user(session)
    make_membership(session, project, annotator)
    make_round(session, project, status=RoundStatus.TRAINING)
    sign_in(client, session, annotator)
    shown = client.get(f"/projects/{project.slug}", headers=GERMAN)
    assert_german(shown)
    assert "In Runde 1 gibt es zurzeit nichts zu beurteilen." in shown.text
    refused = client.get(f"/projects/{project.slug}/settings", headers=GERMAN)
    assert refused.status_code == 403


def test_guidelines_their_versions_and_a_stale_one(
    client: TestClient, project: Project, admin: User
) -> None:
    url = f"/projects/{project.slug}/guidelines"
    assert_german(client.get(url))
    assert "eine frühere" in client.get(f"{url}?version=1").text
    stale = client.post(url, data={"guidelines": "Anders.", "version": 1})
    assert_german(stale)
    assert "Version 2 wurde währenddessen von jemand anderem" in text_of(stale, ".field__error")
    saved = client.post(url, data={"guidelines": "Neu.", "version": 2}, follow_redirects=True)
    assert "Das ist Version 3 der Richtlinien." in text_of(saved, "#toasts")
    long = client.post(url, data={"guidelines": "x" * 100_001, "version": 3})
    assert "länger als 100.000 Zeichen" in text_of(long, ".field__error")


def test_members_their_roles_and_invites(
    client: TestClient, session: Session, project: Project, admin: User
) -> None:
    membership = make_membership(session, project, make_user(session, name="Bo"))
    projects.make_invite(session, project, max_uses=3, actor=admin)
    session.commit()
    url = f"/projects/{project.slug}/members"
    shown = client.get(url)
    assert_german(shown)
    assert "0 von 3" in shown.text
    assert_german(client.post(f"/projects/{project.slug}/invites", data={"role": "annotator"}))
    refused = client.post(f"/projects/{project.slug}/invites", data={"days": "viele"})
    assert text_of(refused, ".field__error") == "'viele' ist keine ganze Zahl."
    invite = session.query(Invite).first()
    assert invite is not None
    revoked = client.post(
        f"/projects/{project.slug}/invites/{invite.id}/revoke", follow_redirects=True
    )
    assert "Der Link gilt nicht mehr." in text_of(revoked, "#toasts")
    changed = client.post(
        f"{url}/{membership.id}/role", data={"role": "admin"}, follow_redirects=True
    )
    assert "Bo hat jetzt die Rolle Projektleitung." in text_of(changed, "#toasts")
    confirm = client.get(f"{url}/{membership.id}/remove")
    assert_german(confirm)
    assert text_of(confirm, "h1") == "Bo aus Szenen entfernen?"
    gone = client.post(f"{url}/{membership.id}/remove", follow_redirects=True)
    assert "Bo ist kein Mitglied mehr." in text_of(gone, "#toasts")


def test_people(client: TestClient, session: Session, admin: User) -> None:
    bo = make_user(session, name="Bo")
    session.commit()
    assert_german(client.get("/people"))
    refused = client.post("/people", data={"name": "Ada"})
    assert_german(refused, data=["Ada"])
    assert "Der Name Ada ist vergeben." in text_of(refused, ".field__error")
    added = client.post("/people", data={"name": "Cleo"})
    assert_german(added)
    assert "Link für Cleo zum Setzen eines Passworts." in added.text
    for action, said in {
        "close": "Das Konto von Bo ist geschlossen.",
        "reopen": "Das Konto von Bo ist wieder offen.",
    }.items():
        done = client.post(f"/people/{bo.id}/{action}", follow_redirects=True)
        assert_german(done)
        assert said in text_of(done, "#toasts")
    made = client.post(f"/people/{bo.id}/admin", data={"is_admin": "true"}, follow_redirects=True)
    assert "Bo gehört jetzt zur Verwaltung." in text_of(made, "#toasts")


# --- Settings -------------------------------------------------------------------------------


def test_the_settings_and_what_is_wrong_with_them(
    client: TestClient, project: Project, admin: User
) -> None:
    url = f"/projects/{project.slug}/settings"
    shown = client.get(url)
    assert_german(shown)
    assert "Mehr zum Training" in shown.text
    label = text_of(shown, "label[for='field-sampling.max_new_tokens']")
    assert label == "Längste Begründung (Tokens)"
    posted = {**form_of(projects.settings_of(project)).values, "judging.overlap": "0"}
    refused = client.post(url, data=posted)
    assert_german(refused)
    assert text_of(refused, "#field-judging\\.overlap-error") == "Der Wert muss mindestens 1 sein."
    saved = client.post(url, data={**posted, "judging.overlap": "2"}, follow_redirects=True)
    assert "Die nächste Runde läuft mit diesen Einstellungen." in text_of(saved, "#toasts")
    details = client.post(f"/projects/{project.slug}/details", data={"name": ""})
    assert "Ein Name ist nötig." in text_of(details, ".field__error")


def errors_of(**changes: str) -> SettingsForm:
    values = {**form_of(LoopSettings()).values, **changes}
    settings, form = read_form(values)
    return form if settings is None else SettingsForm(values, {})


def test_every_refusal_of_a_setting_is_translated() -> None:
    """Whatever is typed: pydantic's words in English, a German sentence on a German page."""
    seen = set()
    wrong = ["", "x", "-5", "0", "1e30", "9" * 11, "9" * 5000, "0.5", "y" * 400]
    wrong += ["2 x", "0.5 " * 50, "\n".join("abcdefghijkl")]
    for field in FIELDS:
        for text in wrong:
            for error in errors_of(**{field.name: text}).errors.values():
                assert isinstance(error, Sentence), error
                with speaking("de"):
                    assert translate(error) != error
                seen.add(error.template)
    assert len(seen) > 10


def test_refusals_that_concern_two_settings() -> None:
    for changes, said in (
        ({"judging.overlap": "3", "judging.max_overlap": "2"}, "Jeden Eintrag beurteilen 3"),
        ({"dtype": "4bit", "training.shard_base": "true"}, "Ein Basismodell in 4 Bit"),
        ({"admission.policy": "at_least", "admission.threshold": "5"}, "verlangt 5 Stimmen"),
    ):
        (error,) = errors_of(**changes).errors.values()
        with speaking("de"):
            assert said in translate(error)


def test_every_setting_has_german_words() -> None:
    """All but names that stand in English everywhere."""
    catalogue = {message.id for message in read_catalogue("de")}
    same = {"float32", "bfloat16", "float16"}
    for field in FIELDS:
        said = [field.label, field.hint, field.unit, *(label for _, label in field.choices)]
        for text in said:
            template = text.template if isinstance(text, Sentence) else text
            assert not text or text in same or template in catalogue, text


# --- Imports --------------------------------------------------------------------------------


@pytest.fixture
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def refusal(*paths: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_dataset(paths)
    return caught.value


def test_row_errors_are_german_on_the_page_and_english_in_the_result(
    client: TestClient,
    session: Session,
    project: Project,
    admin: User,
    store: Path,
    tmp_path: Path,
) -> None:
    rows = [row(1), row(1), row(2, image="weg.png"), row(3, answer=""), row(4, question=[])]
    path = tmp_path / "daten.jsonl"
    path.write_bytes(jsonl(rows) + b"{broken\n[]\n")
    write_zip(tmp_path / "bilder.zip", {"1.png": picture(1), "3.png": b"no picture"})
    error = refusal(path, tmp_path / "bilder.zip")
    run = make_run(session, project, Job.IMPORT, status=RunStatus.RUNNING)
    run.status, run.finished_at = RunStatus.FAILED, func.now()
    run.error, run.result = error.message, {"errors": [pack(line) for line in error.errors]}
    session.commit()
    session.refresh(run)
    assert "daten.jsonl, line 4: answer is empty" in map(unpack, run.result["errors"])
    shown = client.get(f"/runs/{run.id}")
    lines = [line.text for line in page(shown).select("#run-status li")]
    assert "daten.jsonl, Zeile 4: answer ist leer" in lines
    assert "daten.jsonl, Zeile 5: question muss ein Text sein, ist aber eine Liste" in lines
    assert "daten.jsonl, Zeile 7: muss ein Objekt sein, ist aber eine Liste" in lines
    assert any(line.startswith("daten.jsonl, Zeile 6: ist kein JSON (") for line in lines)
    assert_german(shown)
    index = client.get(f"/projects/{project.slug}/imports")
    assert_german(index)
    assert "weitere" in text_of(index, "tbody")


def test_a_finished_import_and_what_it_warns_of(
    client: TestClient, session: Session, project: Project, admin: User
) -> None:
    warning = CountedSentence(
        "%(n)s row asks the same of the same image as another row: %(rows)s",
        "%(n)s rows ask the same of the same image as another row: %(rows)s",
        n=2,
        rows="a, b",
    )
    refused = Sentence("%(item)s: has been judged and is not rewritten", item="c")
    report = ImportReport(
        n_rows=4,
        n_added=1,
        n_unchanged=1,
        n_updated=0,
        n_images=1,
        splits={"train": 3, "test": 1},
        changed=["b"],
        refused=[refused],
        warnings=[warning],
    )
    run = make_run(session, project, Job.IMPORT, status=RunStatus.RUNNING)
    run.status, run.result, run.finished_at = (
        RunStatus.SUCCEEDED,
        report.as_result().dump(),
        func.now(),
    )
    session.commit()
    shown = client.get(f"/runs/{run.id}")
    assert_german(shown)
    assert "1 Zeile weicht von ihrem Eintrag ab" in shown.text
    assert "c: ist beurteilt und wird nicht überschrieben" in shown.text
    assert "2 Zeilen fragen zum selben Bild dasselbe" in shown.text
    index = client.get(f"/projects/{project.slug}/imports")
    assert "1 hinzugefügt, 0 aktualisiert, 1 unverändert" in index.text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "Nichts wurde importiert: a.jsonl ist leer."),
        ("a.txt", b"x", "Das Format von a.txt lässt sich nicht am Namen erkennen."),
        ("a.jsonl", b"\xff\xfea", "a.jsonl ist in UTF-16 geschrieben."),
        ("a.jsonl", b"\xffa", "a.jsonl, Zeile 1: ist kein UTF-8"),
        ("a.jsonl", b"a\0b", "a.jsonl, Zeile 1: enthält Nullbytes"),
        ("a.csv", b"id,id\n", "a.csv, Zeile 1: die Spalte 'id' kommt zweimal vor"),
        ("a.csv", b"id,image,question,answer\n1,2,3,4,5\n", "Zeile 2: hat 5 Zellen"),
        ("a.csv", b"id,image,question\n", "die Spalte 'answer' fehlt; erwartet werden id"),
        ("a.json", b"[]", "a.json ist eine JSON-Liste"),
        ("a.zip", b"PK", "a.zip ist keine lesbare Zip-Datei"),
        ("a.jsonl", b'{"id": 1, "id": 2}', "der Schlüssel 'id' kommt zweimal vor"),
        ("a.jsonl", b'{"id": NaN}', "NaN ist kein JSON-Wert"),
        (
            "a.jsonl",
            b'{"i":1}\n' * 3,
            "a.jsonl, Zeile 1 (und 2 weitere Zeilen): die Spalte 'i' ist unbekannt",
        ),
    ],
)
def test_what_is_wrong_with_a_file(
    store: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    with speaking("de"):
        assert said in translate(error.message)


@pytest.mark.parametrize("kept", [b"no picture", b"", picture(1)[:60]])
def test_what_is_wrong_with_an_image(store: Path, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl([row(1)]))
    (tmp_path / "1.png").write_bytes(kept)
    with speaking("de"):
        assert "das Bild 1.png ist " in translate(refusal(tmp_path / "a.jsonl").message)


def test_an_upload_without_a_file(client: TestClient, project: Project, admin: User) -> None:
    part = 'Content-Disposition: form-data; name="files"; filename=""\r\n'
    refused = client.post(
        f"/projects/{project.slug}/imports",
        content=f"--line\r\n{part}Content-Type: text/plain\r\n\r\n\r\n--line--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=line"},
    )
    assert_german(refused)
    assert "Bitte mindestens eine Datei" in text_of(refused, "[role=alert]")


# --- Practice -------------------------------------------------------------------------------


def test_the_making_of_practice(
    client: TestClient, session: Session, project: Project, admin: User
) -> None:
    url = f"/projects/{project.slug}/practice"
    assert_german(client.get(f"{url}/items"))
    item = make_item(session, project, split=Split.TRAIN)
    added = practice_items.add_item(session, project, item, actor=admin)
    session.commit()
    listed = client.get(f"{url}/items")
    assert_german(listed, data=[item.question, added.answer])
    edit = f"{url}/items/{added.id}"
    assert_german(client.get(edit), data=[item.question, added.answer])
    refused = client.post(edit, data={"answer": "ja", "text-1": "a", "text-2": "a"})
    assert_german(refused, data=[item.question, added.answer])
    assert "Zwei der Begründungen sind gleich." in text_of(refused, "[role=alert]")
    assert "Begründung 2: passt sie oder nicht?" in text_of(refused, "[role=alert]")
    unknown = client.post(f"{url}/items", data={"external_id": "nichts"})
    assert text_of(unknown, ".field__error") == "Dieses Projekt hat keinen Eintrag mit dieser Id."
    rules = client.post(f"{url}/rules", data={"mode": "offered", "pass_percent": "viel"})
    assert text_of(rules, ".field__error") == "Nötig ist eine Zahl zwischen 0 und 100."
    out = client.post(f"{edit}/remove", follow_redirects=True)
    assert "Aus der Übung genommen." in text_of(out, "#toasts")


# --- The pieces -----------------------------------------------------------------------------


def test_every_word_of_a_status_split_role_or_decision_has_its_label() -> None:
    for enum in (RoundStatus, RunStatus, Split, Role, Decision):
        for value in enum:
            assert LABELS[value.value] == value.value.replace("_", " ")


@pytest.mark.parametrize("name", get_templates().env.list_templates(["html"]))
def test_no_template_translates_a_constant(name: str) -> None:
    """Jinja works such a thing out once, when it compiles: in the language of the first reader."""
    environment = get_templates().env
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    for found in environment.parse(source).find_all(nodes.Filter):
        if found.name in ("labelled", "translated"):
            assert not isinstance(found.node, nodes.Const), f"{name}, line {found.lineno}"


def test_a_copied_sentence_keeps_its_parts() -> None:
    said = Sentence("The name %(name)s is taken. Choose another.", name="100 %")
    with speaking("de"):
        assert translate(deepcopy([said])[0]) == translate(said) != said


def test_what_people_wrote_is_no_text_of_ours(
    client: TestClient, session: Session, admin: User
) -> None:
    project = make_project(session, name="Members")
    project.description = "Settings"
    make_membership(session, project, admin, Role.ADMIN)
    session.commit()
    shown = client.get(f"/projects/{project.slug}")
    assert text_of(shown, "h1") == "Members"
    assert text_of(shown, "main > p.lede") == "Settings"
    assert BeautifulSoup(shown.text, "html.parser").select(".tabs a")[0].text == "Überblick"
