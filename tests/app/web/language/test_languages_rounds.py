"""Rounds, items, releases and refusals in German: whole pages, their numbers, what was stored."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup
from httpx2 import Response
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.events import read_event
from app.events.rounds import RoundCreated, RoundStatusChanged
from app.kit.sentences import Amount, CountedSentence, Points, Sentence, Share, pack, unpack
from app.lifecycle import (
    Decision,
    FailureKind,
    Job,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
)
from app.models import Item, ItemFailure, Project, Round, Run, RunShard, Score, Worker
from app.round_settings import StopSettings
from app.run_results import RoundFigures
from app.services.dataset import items
from app.services.events import record
from app.services.releases.releases import create_release
from app.services.rounds.decision import decide
from app.web.language.languages import (
    gettext,
    read_catalogue,
    speaking,
    translate,
    translations_of,
)
from app.web.render.templating import (
    ago,
    date_time,
    duration,
    file_size,
    make_environment,
    number,
    percent,
    signed,
    significant,
)
from tests.app.routes.dataset.test_items import judge_and_sample
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

GERMAN = {"Accept-Language": "de"}
NAMES = {"ILLUME", "Export", "Version", "Adapter", "Prompt", "Test", "Training", "Import", "Name"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Szenen")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session, name="Ada")
    user.language = "de"
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


# --- Whole pages ----------------------------------------------------------------------------


def english_left(response: Response) -> list[str]:
    """Texts of the page that are a message of ours in English, as they stand or filled in."""
    soup = BeautifulSoup(response.text, "html.parser")
    for element in soup.select("script, code, pre, [lang=en], [translate=no], .mono, #toasts"):
        element.decompose()
    said = [" ".join(text.split()) for text in soup.find_all(string=True)]
    for element in soup.find_all(True):
        said += [str(element.get(key, "")) for key in ("aria-label", "title", "alt", "placeholder")]
    said = [text for text in said if re.search(r"[^\W\d_]{2}", text)]
    return [text for text in said if text not in NAMES and is_english(text)]


def is_english(text: str) -> bool:
    return text in english_texts() or any(form.fullmatch(text) for form in english_forms())


def english_texts() -> set[str]:
    """Messages without parts, but for words that are the same in both languages."""
    german = {message.string for message in read_catalogue("de") if message.id}
    return {
        str(message.id)
        for message in read_catalogue("de")
        if isinstance(message.id, str) and message.id and message.id not in german
    }


def english_forms() -> list[re.Pattern[str]]:
    """Messages with parts as patterns; those of a word or two would fit anything."""
    ids = [message.id for message in read_catalogue("de") if message.id]
    texts = [text for id_ in ids for text in ([id_] if isinstance(id_, str) else id_)]
    texts = [" ".join(re.sub("<.*?>", "", text).split()) for text in texts]
    own = [re.sub(r"%\(\w+\)s", "", text) for text in texts]
    return [
        re.compile(re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(text)))
        for text, rest in zip(texts, own, strict=True)
        if "%(" in text and len(re.findall(r"[a-z]{2,}", rest)) > 2
    ]


def busy_round(session: Session, project: Project, status: RoundStatus) -> Round:
    """A round with everything that its page can show: work, loss, failures, workers, scores."""
    round_ = make_round(session, project, status=status)
    runs = {job: ended_run(session, project, job, round_) for job in (Job.BASELINE, Job.EVALUATE)}
    runs[Job.BASELINE].parameters = {"base_model": "demo", "revision": None}
    runs[Job.EVALUATE].result = {
        "n_leaked_images": 2,
        "meteor_note": pack(Sentence("METEOR is left out: Java is not installed.")),
    }
    for run in runs.values():
        for name in ("answer_accuracy", "fit", "filtered_fit", "human_cider", "cider", "blank_fit"):
            add_score(session, run, name)
    train = ended_run(session, project, Job.TRAIN, round_)
    train.result = {
        "n_steps": 2, "epochs_run": 1, "chosen_epoch": 1, "n_rows": 1200, "n_rationale_rows": 1100,
        "n_unreadable": 3, "resumed_from_step": 1,
        "curve": [{"step": n, "answer_loss": 0.5, "rationale_loss": 0.25} for n in (1, 2)],
    }  # fmt: skip
    ended_run(session, project, Job.JUDGE, round_, error="ValueError: not ours\n\nTraceback")
    add_failures(session, round_, make_item(session, project, external_id="kaputt"))
    worker = Worker(name="werk", pid=1, device="cuda:0", queues=["gpu"], memory_used=3 * 10**9)
    worker.memory_total, worker.per_second, worker.unit = 9 * 10**9, 12.5, "samples"
    session.add(worker)
    started = RoundStatusChanged(old=RoundStatus.DRAFT, new=RoundStatus.GENERATING)
    for event in (RoundCreated(number=round_.number), started):
        record(session, event, project_id=project.id, round_id=round_.id)
    session.flush()
    return round_


def ended_run(
    session: Session, project: Project, job: Job, round_: Round, *, error: str | None = None
) -> Run:
    run = make_run(session, project, job, round_=round_)
    run.status = RunStatus.FAILED if error else RunStatus.SUCCEEDED
    run.error = error
    run.started_at = run.finished_at = datetime.now(UTC)
    session.flush()
    return run


def add_score(session: Session, run: Run, name: str) -> None:
    session.add(
        Score(
            run_id=run.id, run_attempt=run.attempt, split=Split.TEST, name=name, value=0.5, n=1500,
            low=0.4, high=0.6,
        )
    )  # fmt: skip
    session.flush()


def add_failures(session: Session, round_: Round, item: Item) -> None:
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    run.heartbeat_at = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 50)
    shard = RunShard(run_id=run.id, number=1, item_ids=[item.id], attempt=1)
    session.add(shard)
    make_round_item(session, round_, item, texts=(), state=RoundItemState.SET_ASIDE)
    session.flush()
    session.add(
        ItemFailure(
            run_id=run.id, shard_id=shard.id, shard_attempt=1, item_id=item.id,
            kind=FailureKind.IMAGE, reason="cut short.",
        )
    )  # fmt: skip


def assert_german(response: Response) -> None:
    assert response.status_code == 200, response.text
    assert one(response, "html")["lang"] == "de"
    assert english_left(response) == []


def test_every_page_of_a_round_is_german(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = busy_round(session, project, RoundStatus.JUDGING)
    session.commit()
    for path in ("", "/close", "/cancel"):
        assert_german(admin.get(f"/rounds/{round_.id}{path}"))
    assert_german(admin.get(f"/projects/{project.slug}/rounds/new"))
    fragment = admin.get(f"/rounds/{round_.id}/status", headers=HTMX)
    assert "<html" not in fragment.text
    assert english_left(fragment) == []
    shown = page(admin.get(f"/rounds/{round_.id}"))
    status = " ".join(shown.select_one("main").get_text(" ").split())
    for part in (
        "2 zurückgehaltene Bilder dieses Projekts kamen",
        "1 Eintrag ließ sich nicht bearbeiten",
        "1.100 von 1.200 Zeilen mit Begründung",
        "3,0 GB von 9,0 GB",
        "12,5 Ziehungen/s",
        "50,0\u00a0%",
        "40,0\u00a0% bis 60,0\u00a0%",
        "METEOR fehlt: Java ist nicht installiert.",
        "1.500",
    ):
        assert " ".join(part.split()) in status, part
    # What a library said is told as it was written, in its language.
    assert [element.text for element in shown.select("article .notice--bad [lang=en]")] == [
        "ValueError: not ours"
    ]
    history = " ".join(shown.select_one(".timeline").get_text(" ").split())
    assert "Runde angelegt" in history
    assert "Entwurf → Erzeugung" in history


def test_a_decided_round_says_why_in_german(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    figures = RoundFigures(
        n_items=40, n_open=30, n_covered=12, newly_covered=5, improved=7, regressed=2,
        validation_accuracy=None, baseline_accuracy=None,
    )  # fmt: skip
    round_.decision, round_.decision_reason = decide(1, [figures], StopSettings())
    round_.status = RoundStatus.COMPLETED
    assert round_.decision is Decision.CONTINUE
    session.commit()
    shown = admin.get(f"/rounds/{round_.id}")
    assert_german(shown)
    assert text_of(shown, "#next-step .stack") == (
        "Weiter 7 Einträge verbessert, 2 verschlechtert, 5 neu abgedeckt; 28 Trainingseinträge "
        "sind noch ohne passende Begründung."
    )


def test_every_page_of_items_is_german(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = judge_and_sample(session, project)
    left_out = make_item(session, project, split=Split.VALIDATION)
    items.exclude_item(session, left_out, reason="verschwommen", actor=None)
    session.commit()
    listed = admin.get(f"/projects/{project.slug}/items")
    assert_german(listed)
    assert "2 Einträge" in text_of(listed, "#items")
    assert "Validierung" in text_of(listed, "#items")
    for address in (f"/items/{item.id}", f"/items/{item.id}/correct", f"/items/{item.id}/exclude"):
        assert_german(admin.get(address))
    assert_german(admin.get(f"/items/{left_out.id}"))
    said = text_of(admin.get(f"/items/{item.id}"), "main")
    for part in (
        "2 von 2 Personen",
        "zugelassen durch Mehrheit",
        "Angezeigt an Position 2, 2.",
        "„, seeing that“",
        "-2,50",
        "hat 1 von 3 gewählt",
        "3 Kandidaten",
    ):
        assert part in said
    refused = admin.post(f"/items/{item.id}/exclude", data={"reason": " "})
    assert text_of(refused, ".field__error").startswith("Bitte angeben, warum")
    refused = admin.post(f"/items/{item.id}/correct", data={"question": "", "answer": "x"})
    assert text_of(refused, "[role=alert]") == "Die Frage darf nicht leer sein."
    done = admin.post(f"/items/{item.id}/exclude", data={"reason": "x"}, follow_redirects=True)
    assert "Der Eintrag ist ausgeschlossen." in text_of(done, "#toasts")


def test_every_page_of_releases_is_german(
    admin: TestClient, session: Session, project: Project
) -> None:
    base = f"/projects/{project.slug}/releases"
    assert_german(admin.get(base))
    judge_and_sample(session, project)
    release = create_release(session, project, actor=None)
    session.commit()
    assert_german(admin.get(base))
    shown = admin.get(f"/releases/{release.id}")
    assert_german(shown)
    assert "0 Begründungen aus Szenen, erstellt" in text_of(shown, ".lede")
    missing = admin.get(f"/releases/{release.id}/files/jsonl")
    assert text_of(missing, ".lede").startswith("Diese Datei des Release ist nicht erstellt.")


def test_refusals_are_german(admin: TestClient, session: Session, project: Project) -> None:
    round_ = make_round(session, project, status=RoundStatus.CANCELLED)
    session.commit()
    closed = admin.post(f"/rounds/{round_.id}/close")
    assert text_of(closed, ".lede") == (
        "Stand von Runde 1: abgebrochen. Nur eine laufende Beurteilung lässt sich beenden."
    )
    assert text_of(closed, "h1") == "Das geht im Moment nicht"
    expected = {
        "/rounds/99999": "Diese Runde gibt es nicht, oder es fehlt die Mitgliedschaft im Projekt.",
        "/nowhere": "gibt es keine Seite.",
        "/people": "Das kann nur die Verwaltung dieser Installation.",
    }
    for address, sentence in expected.items():
        refused = admin.get(address, headers=GERMAN)
        assert sentence in text_of(refused, ".lede")
        assert english_left(refused) == []
    foreign = admin.post("/sign-out", headers={**GERMAN, "Sec-Fetch-Site": "cross-site"})
    assert "von einer anderen Website" in text_of(foreign, ".lede")
    # Programs are told in English.
    told = admin.get("/rounds/99999", headers={**GERMAN, "Accept": "application/json"})
    assert told.json()["detail"].startswith("There is no such round")


# --- Numbers, times, and what was stored ----------------------------------------------------


def test_numbers_and_times_are_written_as_the_language_does() -> None:
    at = datetime(2026, 3, 4, 15, 6, tzinfo=UTC)

    def written() -> list[str]:
        return [
            percent(0.123), percent(12.5, 0), percent(None), number(1234.5), number(1234, 0),
            signed(-1234), signed(0.5, 1), significant(0.0321), duration(timedelta(days=3)),
            duration(7200), file_size(2_400_000), file_size(3_200_000_000), file_size(12),
            date_time(at), ago(None),
        ]  # fmt: skip

    assert written() == [
        "12.3\u00a0%", "1,250\u00a0%", "–", "1,234.50", "1,234", "-1,234", "+0.5", "0.0321",
        "3 d", "2 h", "2 MB", "3.2 GB", "12 bytes", "2026-03-04 15:06", "never",
    ]  # fmt: skip
    with speaking("de"):
        assert written() == [
            "12,3\u00a0%", "1.250\u00a0%", "–", "1.234,50", "1.234", "-1.234", "+0,5", "0,0321",
            "3 Tg.", "2 Std.", "2 MB", "3,2 GB", "12 Byte", "04.03.26, 15:06", "nie",
        ]  # fmt: skip


def test_a_number_in_a_sentence_is_written_in_the_language_of_the_page() -> None:
    told = Sentence("of %(n)s judged", n=Share(0.5))
    many = Sentence("%(n)s newly", n=Amount(1200))
    points = Sentence(
        "%(drift)s of the %(gained)s points gained since then may be drift.",
        drift=Points(0.03),
        gained=Points(-0.125),
    )
    assert (told, many) == ("of 50.0% judged", "1,200 newly")
    assert points == "3.0 of the -12.5 points gained since then may be drift."
    assert unpack(pack(points)).parts == {"drift": Points(0.03), "gained": Points(-0.125)}
    with speaking("de"):
        assert translate(told) == "von 50,0\u00a0% beurteilten"
        assert translate(many) == "1.200 neu"
        assert translate(points).startswith("3,0 der -12,5 Punkte")


def test_counted_blocks_group_their_number() -> None:
    template = make_environment().from_string(
        "{% trans n=n %}{{ n }} item{% pluralize %}{{ n }} items{% endtrans %}"
    )
    assert [template.render(n=n) for n in (1, 1200)] == ["1 item", "1,200 items"]
    with speaking("de"):
        assert [template.render(n=n) for n in (1, 1200)] == ["1 Eintrag", "1.200 Einträge"]


POLISH = b"""
msgid "%(n)s item"
msgid_plural "%(n)s items"
msgstr[0] "%(n)s wpis"
msgstr[1] "%(n)s wpisy"
msgstr[2] "%(n)s wpis\xc3\xb3w"

msgid "%(n)s newly"
msgstr ""
"""


def test_a_language_with_three_forms_gets_the_right_one() -> None:
    polish = translations_of(read_po(BytesIO(POLISH), locale="pl"))
    template = make_environment().from_string(
        "{% trans n=n %}{{ n }} item{% pluralize %}{{ n }} items{% endtrans %}"
    )
    forms = {1: "1 wpis", 3: "3 wpisy", 5: "5 wpisów", 12: "12 wpisów", 22: "22 wpisy"}
    with speaking("pl", polish):
        for n, form in forms.items():
            assert translate(CountedSentence("%(n)s item", "%(n)s items", n=n)) == form
            assert template.render(n=n) == form
        assert translate(CountedSentence("%(n)s day", "%(n)s days", n=3)) == "3 days"
        assert [gettext("%(n)s newly"), gettext("")] == ["%(n)s newly", ""]


TOO_MANY = Sentence(
    "%(n)s of %(all)s items could not be done, too many to go on without them. One of them is "
    "%(item)s: %(reason)s Mend the cause, then retry the round: finished shards are kept.",
    n=4,
    all=20,
    item="q1",
    reason="The image q1.png is cut.",
)


def test_stored_sentences_keep_their_parts_and_what_is_none_of_ours_stays(
    session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    for error in (TOO_MANY, "CUDA out of memory"):
        run = ended_run(session, project, Job.BASELINE, round_, error=error)
        session.expire(run)
        assert run.error == error
        assert isinstance(run.error, Sentence) is isinstance(error, Sentence)
        with speaking("de"):
            said = translate(run.error)
        if error is TOO_MANY:
            assert said.startswith("4 von 20 Einträgen ließen sich nicht bearbeiten")
            assert "The image q1.png is cut." in said
        else:
            assert said == error


def test_a_status_in_a_sentence_that_was_stored_is_still_a_word() -> None:
    refused = Sentence("This run is already %(status)s.", status=RunStatus.CANCELLED)
    with speaking("de"):
        assert translate(unpack(pack(refused))) == translate(refused)
        assert "abgebrochen" in translate(refused)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Sentence("The limit of %(n)s rounds is reached.", n=3), "Die Grenze von 3 Runden"),
        ("Enough, says Ada.", "Enough, says Ada."),
    ],
)
def test_history_says_why_a_round_was_decided(reason: str, told: str) -> None:
    details = {"decision": "round_limit", "reason": pack(reason)}
    with speaking("de"):
        decided = translate(read_event("round:decided", details).describe())
    assert decided.startswith(f"Entscheidung: Rundenzahl erreicht. {told}")
