"""The round's page and what an admin does on it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import (
    Decision,
    Job,
    JudgementStatus,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
)
from app.models import (
    Judgement,
    Project,
    Round,
    RoundCandidate,
    Run,
    RunShard,
    Score,
    VerdictRow,
    Worker,
)
from app.queries.rounds.rounds import find_last_round
from app.round_settings import (
    AdmissionSettings,
    JudgingSettings,
    LoopSettings,
    SamplingSettings,
    TrainingSettings,
)
from app.run_results import EpisodeTally, RoundFigures, TrainingResult, WorkProgress
from app.services.dataset.formats.episodes import EpisodeLine
from app.services.dataset.formats.problems import Place
from app.services.dataset.prior import import_prior
from app.services.judging import opening
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_draws,
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import submit
from tests.support.rounds_in_process import close_now


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    """A browser of an admin of the project."""
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


ROUND_PAGES = ["", "/status", "/close", "/cancel"]
ROUND_POSTS = ["/start", "/close", "/evidence", "/retry", "/cancel"]


def test_pages_of_a_round_by_who_asks(
    client: TestClient, session: Session, project: Project
) -> None:
    url = f"/rounds/{make_round(session, project).id}"
    stranger, annotator = make_user(session), make_user(session)
    make_membership(session, project, annotator)
    session.commit()

    def statuses() -> set[int]:
        pages = {client.get(url + path).status_code for path in ROUND_PAGES}
        return pages | {client.post(url + path).status_code for path in ROUND_POSTS}

    assert statuses() == {303}
    assert client.post(f"/projects/{project.slug}/rounds").status_code == 303
    sign_in(client, session, stranger)
    assert statuses() == {404}
    assert client.post(f"/projects/{project.slug}/rounds").status_code == 404
    sign_in(client, session, annotator)
    assert statuses() == {403}
    assert client.post(f"/projects/{project.slug}/rounds").status_code == 403
    assert client.get("/rounds/999999").status_code == 404
    assert client.get("/rounds/first").status_code == 404


# --- Starting -------------------------------------------------------------------------------


def test_start_says_what_will_happen_and_does_it(
    admin: TestClient, session: Session, project: Project
) -> None:
    for split in (Split.TRAIN, Split.TRAIN, Split.TEST):
        make_item(session, project, split=split)
    asked = admin.get(f"/projects/{project.slug}/rounds/new")
    assert "2 items × 25 draws = 50 draws" in text_of(asked, ".facts")
    assert "No model worker is alive" in asked.text
    assert "no validation items" in asked.text
    started = admin.post(f"/projects/{project.slug}/rounds")
    round_ = find_last_round(session, project.id)
    assert round_ is not None
    assert started.headers["Location"] == f"/rounds/{round_.id}"
    assert round_.status is RoundStatus.GENERATING
    shown = admin.get(f"/rounds/{round_.id}")
    assert "Round 1 is started" in text_of(shown, "#toasts")
    assert text_of(shown, ".steps .is-current") == "Sample"
    assert "illume worker --queues gpu" in shown.text


def test_the_model_of_an_observer_is_named_beside_that_of_the_reasoner(
    admin: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project, split=Split.TRAIN)
    own = {"observer_model": "org/seer", "observer_revision": "def"}
    for strategy, is_named in (("monologue", True), ("direct", False)):
        settings = LoopSettings.model_validate({"strategy": strategy, "monologue": own})
        project.settings = settings.model_dump(mode="json")
        session.commit()
        facts = text_of(admin.get(f"/projects/{project.slug}/rounds/new"), ".facts")
        assert "demo" in facts
        assert ("Model of the observer org/seer at def" in facts) == is_named


def test_start_without_items_or_beside_an_open_round_is_refused(
    admin: TestClient, session: Session, project: Project
) -> None:
    asked = admin.get(f"/projects/{project.slug}/rounds/new")
    assert one(asked, "main .btn--primary").has_attr("disabled")
    assert admin.post(f"/projects/{project.slug}/rounds").status_code == 422
    assert find_last_round(session, project.id) is None
    make_item(session, project)
    make_round(session, project)
    session.commit()
    assert admin.post(f"/projects/{project.slug}/rounds").status_code == 409


def test_start_says_what_a_critic_could_not_judge(
    admin: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project)
    make_item(session, project, gold_rationales=())
    project.settings = LoopSettings.model_validate({"judging": {"judges": "rouge:0.5"}}).model_dump(
        mode="json"
    )
    session.commit()
    url = f"/projects/{project.slug}/rounds/new"
    asked = admin.get(url)
    assert "1 of 2 train items are left out: the critic rouge:0.5 judges by" in asked.text
    assert "1 item × 25 draws" in text_of(asked, ".facts")
    make_item(session, project, split=Split.TEST, gold_rationales=())
    session.commit()
    asked = admin.get(url)
    assert "Fit is not measured" in asked.text
    assert "can judge none of the 1 held-out items. Their answers are measured all the same" in (
        asked.text
    )
    make_item(session, project, split=Split.VALIDATION)
    session.commit()
    asked = admin.get(url)
    assert "Fit is measured on those 1 of the 2 held-out items" in asked.text


def test_start_says_what_the_prior_has_to_teach(
    admin: TestClient, session: Session, project: Project
) -> None:
    url = f"/projects/{project.slug}/rounds/new"
    item = make_item(session, project)

    def shown(source: str) -> str:
        training = TrainingSettings(source=source)
        project.settings = LoopSettings(strategy="monologue", training=training).model_dump()
        session.flush()
        return " ".join(text_of(admin.get(url), "main").split())

    assert "There is no prior to train on" in shown("prior")
    assert "of the prior" not in shown("admitted")
    line = EpisodeLine(Place("prior.jsonl", 1), item.external_id, (), item.answer, None)
    import_prior(session, project, [line], actor=None)
    assert "on the prior alone, 1 episode: nothing is sampled or judged" in shown("prior")
    assert "also on 1 episode of the prior" in shown("admitted")
    data = text_of(admin.get(f"/projects/{project.slug}"), 'section[aria-labelledby="data-title"]')
    assert "Prior: 1 episode of 1 items" in " ".join(data.split())
    item.version += 1
    session.flush()
    data = text_of(admin.get(f"/projects/{project.slug}"), 'section[aria-labelledby="data-title"]')
    assert "1 of them is of an item that was reworded since" in " ".join(data.split())


def test_start_of_a_draft(admin: TestClient, session: Session, project: Project) -> None:
    make_item(session, project)
    round_ = make_round(session, project, status=RoundStatus.DRAFT)
    assert not one(admin.get(f"/rounds/{round_.id}"), "#round-status").has_attr("hx-get")
    assert admin.post(f"/rounds/{round_.id}/start").status_code == 303
    session.refresh(round_)
    assert round_.status is RoundStatus.GENERATING


# --- Watching -------------------------------------------------------------------------------


def test_status_renews_itself_and_is_the_same_piece_as_in_the_page(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.JUDGING)
    url = f"/rounds/{round_.id}"
    whole = one(admin.get(url), "#round-status")
    assert whole["hx-get"] == f"{url}/status?seen=judging"
    assert whole["hx-trigger"] == "every 2s"
    fragment = admin.get(f"{url}/status?seen=judging", headers=HTMX)
    assert "<html" not in fragment.text
    assert str(one(fragment, "#round-status")) == str(whole)
    assert not page(fragment).select("#round-announcement")
    assert "HX-Request" in fragment.headers["Vary"].split(", ")
    assert fragment.headers["Cache-Control"] == "no-store"


def test_status_announces_a_change_and_stops_at_the_end(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.CANCELLED)
    fragment = admin.get(f"/rounds/{round_.id}/status?seen=judging", headers=HTMX)
    assert not one(fragment, "#round-status").has_attr("hx-get")
    announcement = one(fragment, "#round-announcement")
    assert announcement["hx-swap-oob"] == "true"
    assert announcement.text == "Round 1 is cancelled."


def test_status_opened_as_a_page_leads_to_the_round(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    response = admin.get(f"/rounds/{round_.id}/status")
    assert response.headers["Location"] == f"/rounds/{round_.id}"


def test_a_polling_page_survives_the_end_of_the_session(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    session.commit()
    admin.cookies.clear()
    response = admin.get(
        f"/rounds/{round_.id}/status",
        headers=HTMX | {"HX-Current-URL": f"http://testserver/rounds/{round_.id}"},
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == f"/sign-in?next=/rounds/{round_.id}"


def add_worker(session: Session, queues: list[str], run: Run | None = None) -> Worker:
    worker = Worker(
        name=f"worker-{'-'.join(queues)}", pid=1, device="cuda:0", queues=queues,
        run_id=run.id if run else None,
    )  # fmt: skip
    session.add(worker)
    session.flush()
    return worker


def test_workers_are_shown_with_device_memory_and_speed(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.GENERATING)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    add_worker(session, ["cpu"])
    busy = add_worker(session, ["gpu"], run)
    busy.memory_used, busy.memory_total = 12_300_000_000, 80_000_000_000
    busy.per_second, busy.unit = 41.26, "samples"
    session.flush()
    table = text_of(admin.get(f"/rounds/{round_.id}"), "section[aria-labelledby=workers-title]")
    assert "cuda:0" in table
    assert "12.3 GB of 80.0 GB" in table
    assert "41.3 samples/s" in table


def test_queued_run_says_whether_anybody_will_take_it(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    make_run(session, project, Job.TRAIN, round_=round_)
    url = f"/rounds/{round_.id}"
    add_worker(session, ["cpu"])
    notice = text_of(admin.get(url), 'article[aria-label="Train the adapter"] .notice')
    assert "no live worker" in notice
    assert "illume worker --queues gpu" in notice
    other = make_run(session, make_project(session), Job.GENERATE, status=RunStatus.RUNNING)
    worker = add_worker(session, ["gpu"], other)
    shown = admin.get(url)
    assert "until a worker is free" in text_of(shown, "article .notice")
    assert "work of another project" in shown.text
    assert "cuda:0" in shown.text
    worker.run_id = None
    assert "in a moment" in text_of(admin.get(url), "article .notice")


def test_training_shows_its_progress_and_loss(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    run.heartbeat_at = run.started_at = datetime.now(UTC)
    run.progress = {
        "step": 3,
        "n_steps": 12,
        "seconds_left": 90,
        "curve": [
            {"epoch": 1, "step": n, "n_steps": 12, "loss": 3 / n, "answer_loss": 2 / n,
             "rationale_loss": None if n == 1 else 1 / n, "learning_rate": 0.1}
            for n in (1, 2, 3)
        ],
    }  # fmt: skip
    shown = admin.get(f"/rounds/{round_.id}")
    bar = one(shown, 'article[aria-label="Train the adapter"] progress')
    assert (bar["value"], bar["max"]) == ("3", "12")
    assert "about 90 s left" in text_of(shown, 'article[aria-label="Train the adapter"]')
    chart = one(shown, "svg.chart")
    assert "answers 0.667" in chart["aria-label"]
    lines = chart.select("polyline")
    assert [len(line["points"].split()) for line in lines] == [3, 2]
    assert not page(shown).select("[style]")


def test_a_training_shows_each_of_its_losses_by_name(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    losses = [{"answer": 2.0}, {"answer": 1.0, "rationale": 1.5}, {"turn": 0.5, "rationale": 0.75}]
    run.progress = {
        "step": 3,
        "n_steps": 12,
        "curve": [{"step": n, "losses": found} for n, found in enumerate(losses, start=1)],
    }
    chart = one(admin.get(f"/rounds/{round_.id}"), "svg.chart")
    for line in ("answers 1", "rationales 0.75", "turn 0.5"):
        assert line in chart["aria-label"]
    assert [len(line["points"].split()) for line in chart.select("polyline")] == [2, 2, 1]


def test_each_training_of_a_monologue_has_its_name_and_its_losses(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(strategy="monologue")
    round_ = make_round(session, project, status=RoundStatus.TRAINING, settings=settings)
    for role, losses in (
        ("reasoner", {"question": 2.0, "answer": 1.0, "rationale": 1.5}),
        ("observer", {"observation": 0.5}),
    ):
        run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
        run.strategy, run.role = "monologue", role
        run.progress = {"step": 1, "n_steps": 2, "curve": [{"step": 1, "losses": losses}]}
        session.flush()
    shown = admin.get(f"/rounds/{round_.id}")
    labels = [card["aria-label"] for card in page(shown).select("article.card")]
    assert labels == ["Train the reasoner", "Train the observer"]
    charts = [chart["aria-label"] for chart in page(shown).select("svg.chart")]
    assert charts == [
        "Training loss of the reasoner: answers 1, questions 2, rationales 1.5",
        "Training loss of the observer: observations 0.5",
    ]


def test_what_was_learned_from_rewards_is_shown_with_its_curves(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(strategy="monologue")
    round_ = make_round(session, project, status=RoundStatus.TRAINING, settings=settings)
    done = make_run(session, project, Job.REINFORCE, round_=round_, status=RunStatus.RUNNING)
    done.strategy, done.role = "monologue", "reasoner"
    done.status, done.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
    done.result = {
        "n_items": 20,
        "n_steps": 2,
        "n_marks": 3,
        "epochs": [
            {"epoch": 1, "n_draws": 80, "n_tokens": 2500, "outcomes": {"right": 20}},
            {"epoch": 2, "n_draws": 80, "n_tokens": 1500, "outcomes": {"right": 40}},
        ],
        "curve": [{"step": 1, "reward": 0.25, "kl": 0.0}, {"step": 2, "reward": 0.5, "kl": 0.01}],
    }
    session.flush()
    going = make_run(session, project, Job.REINFORCE, round_=round_, status=RunStatus.RUNNING)
    going.strategy, going.role = "monologue", "observer"
    going.progress = {
        "step": 1,
        "n_steps": 4,
        "seconds_left": 90.0,
        "curve": [{"step": 1, "reward": 0.75, "kl": 0.02}],
    }
    session.flush()
    shown = admin.get(f"/rounds/{round_.id}")
    card = text_of(shown, 'article[aria-label="Reward the reasoner"]')
    for said in (
        "160 rewarded draws of 20 items",
        "4,000 tokens",
        "3 looks that people had marked",
        "right answers by epoch: 25.0 %, 50.0 %",
    ):
        assert said in card
    bar = one(shown, 'article[aria-label="Reward the observer"] progress')
    assert (bar["value"], bar["max"]) == ("1", "4")
    assert "about 90 s left" in text_of(shown, 'article[aria-label="Reward the observer"]')
    charts = [chart["aria-label"] for chart in page(shown).select("svg.chart")]
    assert charts == [
        "Reward per draw: reasoner 0.5, observer 0.75",
        "Divergence from the training before: reasoner 0.01, observer 0.02",
    ]


def test_a_run_that_ended_well_is_shown_as_done_however_little_it_told(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    closing = make_run(session, project, Job.CLOSE, round_=round_, status=RunStatus.RUNNING)
    closing.progress = WorkProgress(done=0, total=20).dump()
    training = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    result = TrainingResult(n_rows=46, n_steps=6, n_untaught_looks=3, n_corrected_looks=1)
    training.role, training.result = "observer", result.dump()
    for run in (closing, training):
        run.status, run.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
    shown = admin.get(f"/rounds/{round_.id}")
    bar = one(shown, 'article[aria-label="Close the round"] progress')
    assert (bar["value"], bar["max"]) == ("20", "20")
    told = text_of(shown, 'article[aria-label="Train the observer"]')
    untaught = "3 observations left out that people found untrue · 1 correction taught in its place"
    assert f"46 rows · {untaught}" in told
    training.role = "reasoner"
    training.result = TrainingResult(n_rows=46, n_useless_questions=1, n_dropped=2).dump()
    session.flush()
    told = text_of(admin.get(f"/rounds/{round_.id}"), 'article[aria-label="Train the reasoner"]')
    useless = "1 question left out that people found useless"
    assert f"46 rows · {useless} · 2 unwanted texts to be said less" in told


def test_a_round_says_how_much_of_its_training_people_wrote(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    run.result = {"n_rows": 40, "n_rationale_rows": 9, "n_written_rows": 2, "n_steps": 4,
                  "chosen_epoch": 1, "epochs_run": 1}  # fmt: skip
    run.status, run.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
    round_.figures = {"n_covered": 5, "n_items": 8, "newly_covered": 5, "n_admitted": 7,
                      "improved": 5, "regressed": 0, "n_written_trained": 2}  # fmt: skip
    shown = admin.get(f"/rounds/{round_.id}")
    card = text_of(shown, 'article[aria-label="Train the adapter"]')
    assert "9 rationale rows of 40 · 2 of them corrected by annotators" in card
    assert re.search(r"Corrected texts\s+2\s+trained on", page(shown).get_text(" "))


def test_a_round_says_how_many_texts_were_cut_and_what_to_raise(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(sampling=SamplingSettings(max_new_tokens=40))
    round_ = make_round(session, project, settings=settings)
    item = make_item(session, project)
    make_round_item(session, round_, item, texts=["it is red and", "a ball"])
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#cut")
    make_draws(session, round_, item, {"it is red and": [True], "a ball": [False]})
    said = text_of(admin.get(f"/rounds/{round_.id}"), "#cut")
    assert said.startswith("1 of 2 texts was cut at the limit of 40 tokens.")
    assert "raise “Longest rationale”" in said
    candidates = page(admin.get(f"/items/{item.id}")).select("article.card")
    marked = {
        card.select_one("strong").get_text(): "cut at the token limit" in card.get_text()
        for card in candidates
    }
    assert marked == {"it is red and": True, "a ball": False}


def test_a_round_says_how_its_monologues_ended(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(strategy="monologue"))
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#episodes")
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    tallies = (
        EpisodeTally(explained=3, wrong_answer=1, turns=8, repeated=2),
        EpisodeTally(explained=1, not_understood=2, asked_too_often=1, turns=8),
        EpisodeTally(explained=100),  # of a shard that is being done
    )
    for number, tally in enumerate(tallies, start=1):
        status = ShardStatus.RUNNING if number == 3 else ShardStatus.DONE
        shard = RunShard(
            run_id=run.id, number=number, item_ids=[], status=status, tally=tally.dump()
        )
        session.add(shard)
    session.flush()
    said = " ".join(text_of(admin.get(f"/rounds/{round_.id}"), "#episodes").split())
    assert said == (
        "Monologues 8 50.0 % came to a rationale Looks 2.0 per monologue Repeated questions 12.5 % "
        "of 16 Without a rationale 4 1 wrong answer, 2 not understood, 1 asked too often"
    )


def test_a_round_tells_what_people_and_what_the_exact_critic_say_of_its_looks(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(strategy="monologue"))
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(run_id=run.id, number=1, item_ids=[], status=ShardStatus.DONE)
    session.add(shard)
    url = f"/rounds/{round_.id}"
    shard.tally = EpisodeTally(explained=3, turns=8).dump()
    session.flush()
    assert not page(admin.get(url)).select("#marks")  # no scenes, and nobody marked anything
    shard.tally = EpisodeTally(
        explained=3, turns=8, critic_asked=8, critic_useful=6, critic_observed=5, critic_true=4
    ).dump()
    session.flush()
    assert " ".join(text_of(admin.get(url), "#marks").split()) == (
        "Useful questions 75.0 % of 8, by the exact critic "
        "True observations 80.0 % of 5, by the exact critic"
    )


def test_silent_run_says_that_another_worker_takes_over(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    run.heartbeat_at = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 50)
    shown = admin.get(f"/rounds/{round_.id}").text
    assert re.search(r"no sign of life for [56]\d s", shown)


def fail_run(session: Session, run: Run, error: str) -> None:
    run.status, run.error, run.finished_at = RunStatus.FAILED, error, func.now()
    session.flush()


def test_failed_run_says_why_and_is_retried(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    run = make_run(session, project, Job.TRAIN, round_=round_)
    url = f"/rounds/{round_.id}"
    session.commit()
    assert admin.post(f"{url}/retry").status_code == 409
    fail_run(session, run, "Not enough memory.\n\nTraceback: <b>deep</b>")
    session.commit()
    shown = admin.get(url)
    assert text_of(shown, ".steps .is-failed") == "Train"
    assert "Not enough memory." in text_of(shown, "article .notice--bad")
    assert one(shown, "article pre").text == "Traceback: <b>deep</b>"
    form = one(shown, "form:has(#retry-round)")
    assert admin.post(form["action"]).status_code == 303
    again = admin.get(url)
    assert not page(again).select("#retry-round")
    assert text_of(again, 'article[aria-label="Train the adapter"] .badge') == "queued"


def add_score(session: Session, run: Run, name: str, value: float, n: int = 500) -> None:
    session.add(
        Score(
            run_id=run.id, run_attempt=run.attempt, split=Split.TEST, name=name, value=value, n=n,
            low=value - 0.05, high=value + 0.05,
        )
    )  # fmt: skip


def finish_run(session: Session, run: Run, result: dict[str, object] | None = None) -> Run:
    run.status, run.finished_at, run.result = RunStatus.SUCCEEDED, func.now(), result or {}
    session.flush()
    return run


def evaluated_round(session: Session, project: Project) -> tuple[Round, Run, Run]:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    baseline = finish_run(session, make_run(session, project, Job.BASELINE, round_=round_))
    baseline.parameters = {"base_model": "demo", "revision": None}
    return (
        round_,
        baseline,
        finish_run(session, make_run(session, project, Job.EVALUATE, round_=round_)),
    )


def score_lines(admin: TestClient, round_: Round) -> list[list[str]]:
    """The lines of the table of the test split, cell by cell."""
    shown = page(admin.get(f"/rounds/{round_.id}"))
    return [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("td, th")]
        for row in shown.select('table[data-split="test"] tr')
    ]


def test_scores_stand_beside_the_base_model_with_intervals(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, baseline, evaluation = evaluated_round(session, project)
    add_score(session, baseline, "fit", 0.25)
    add_score(session, evaluation, "fit", 0.5)
    add_score(session, evaluation, "cider", 1.5, n=400)
    assert score_lines(admin, round_) == [
        ["Who", "Rationale fits", "CIDEr", "Items"],
        ["All items"],
        ["Base model", "25.0 % 20.0 % to 30.0 %", "–", "500"],
        ["This round", "50.0 % 45.0 % to 55.0 %", "1.500 1.450 to 1.550", "500, 400 explained"],
        ["Change", "+25.0 points", "–", ""],
    ]


def test_people_and_blank_pictures_stand_beside_the_models(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, baseline, evaluation = evaluated_round(session, project)
    for run, cider in ((baseline, 0.4), (evaluation, 0.8)):
        add_score(session, run, "cider", cider)
        add_score(session, run, "filtered_cider", cider + 0.1, n=300)
        add_score(session, run, "leave_one_out_cider", cider - 0.1, n=450)
        add_score(session, run, "human_cider", 0.9, n=450)
    add_score(session, baseline, "blank_answer_accuracy", 0.35)
    add_score(session, baseline, "answer_accuracy", 0.5)
    add_score(session, baseline, "blank_cider", 0.2)
    lines = [[cells[0], *cells[2:4]] if len(cells) > 1 else cells
             for cells in score_lines(admin, round_)]  # fmt: skip
    assert [cells[0] for cells in lines] == [
        "Who", "All items", "Base model", "This round", "Change",
        "Answered right", "Base model", "This round",
        "One reference left out", "Base model", "This round", "People",
        "Blank picture", "Base model",
    ]  # fmt: skip
    assert lines[7] == ["This round", "0.900 0.850 to 0.950", "300"]
    assert lines[11] == ["People", "0.900 0.850 to 0.950", "450"]
    assert lines[13] == ["Base model", "0.200 0.150 to 0.250", "500"]
    notes = text_of(admin.get(f"/rounds/{round_.id}"), 'section[aria-labelledby="scores-title"] ul')
    assert "Answered right: only" in notes
    assert "Blank picture: what" in notes


FIT_NOTE = "#scores #fit-note"


def test_the_page_says_that_fit_is_not_measured_and_what_to_do(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, baseline, evaluation = evaluated_round(session, project)
    for run in (baseline, evaluation):
        add_score(session, run, "answer_accuracy", 0.5)
    said = text_of(admin.get(f"/rounds/{round_.id}"), FIT_NOTE)
    assert "Fit is not measured: the critic rouge:0.5 judges by a gold rationale" in said
    assert "can judge none of the 500 held-out items" in said
    assert "import the held-out items again, updating them, with what they lack" in said
    assert score_lines(admin, round_)[0] == ["Who", "Answer is right", "Items"]


def test_fit_of_some_items_names_their_number_and_moves_only_beside_the_same_ones(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, baseline, evaluation = evaluated_round(session, project)
    for run, n_judged, fit in ((baseline, 40, 0.25), (evaluation, 80, 0.75)):
        add_score(session, run, "answer_accuracy", 0.5)
        add_score(session, run, "fit", fit, n=n_judged)
    said = text_of(admin.get(f"/rounds/{round_.id}"), FIT_NOTE)
    assert "Fit is measured on those 80 of the 500 held-out items" in said
    lines = score_lines(admin, round_)
    assert lines[2][-1] == "500 40 judged by the critic"
    # Of other items than before: no change of the model.
    assert lines[4] == ["Change", "+0.0 points", "–", ""]
    assert "Rationale fits" not in text_of(admin.get(f"/rounds/{round_.id}"), "#moves")


def test_where_all_is_judged_there_is_no_note(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, _, evaluation = evaluated_round(session, project)
    for name in ("answer_accuracy", "fit"):
        add_score(session, evaluation, name, 0.5)
    assert not page(admin.get(f"/rounds/{round_.id}")).select(FIT_NOTE)


def test_a_round_without_verdicts_counts_nothing_as_regressed(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    figures = RoundFigures(
        n_items=10, n_open=10, n_covered=4, newly_covered=4, improved=4, regressed=0, n_measured=0
    )
    round_.decision, round_.decision_reason = Decision.CONTINUE, "It goes on."
    round_.status, round_.figures = RoundStatus.COMPLETED, figures.dump()
    session.flush()
    shown = admin.get(f"/rounds/{round_.id}")
    assert "Improved − regressed – no verdict on held-out items" in text_of(shown, "#round-status")
    assert [cell.get_text() for cell in page(shown).select("#coverage tbody td")][-1] == "–"


def test_the_page_says_why_there_is_no_meteor(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_, _, evaluation = evaluated_round(session, project)
    add_score(session, evaluation, "cider", 0.5)
    shown = 'section[aria-labelledby="scores-title"]'
    assert "METEOR" not in text_of(admin.get(f"/rounds/{round_.id}"), shown)
    evaluation.result = {"meteor_note": "METEOR is left out: Java is not installed."}
    assert "Java is not installed." in text_of(admin.get(f"/rounds/{round_.id}"), shown)


def test_leaked_images_are_a_red_banner(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    run = finish_run(
        session, make_run(session, project, Job.EVALUATE, round_=round_), {"n_leaked_images": 0}
    )
    url = f"/rounds/{round_.id}"
    assert "Held-out images were trained on" not in admin.get(url).text
    run.result = {"n_leaked_images": 3}
    banner = text_of(admin.get(url), "#round-status .notice--bad")
    assert "3 held-out images" in banner


def test_number_of_queries_does_not_grow_with_the_round(
    admin: TestClient,
    session: Session,
    project: Project,
    count_queries: Callable[[Callable[[], object]], int],
) -> None:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    run = make_run(session, project, Job.GENERATE, round_=round_)

    def show() -> None:
        assert admin.get(f"/rounds/{round_.id}/status", headers=HTMX).status_code == 200

    few = count_queries(show)
    for number in range(5):
        make_round_item(session, round_, make_item(session, project))
        add_worker(session, ["gpu", str(number)], run)
    assert count_queries(show) == few


# --- Closing and cancelling -----------------------------------------------------------------


def judge(session: Session, round_: Round, n_people: int, picks: list[set[str]]) -> None:
    """One item whose shown candidates `picks[i]` person i calls fitting."""
    item = make_item(session, session.get_one(Project, round_.project_id))
    round_item = make_round_item(session, round_, item, slots=n_people)
    candidates = session.query(RoundCandidate).filter_by(item_id=item.id).all()
    ids = sorted(entry.candidate_id for entry in candidates)
    for slot, chosen in enumerate(picks, start=1):
        picked = [ids[int(number)] for number in chosen]
        user = make_user(session)
        judgement = Judgement(
            round_item_id=round_item.id, round_id=round_.id, user_id=user.id, slot=slot,
            max_slots=n_people, status=JudgementStatus.SUBMITTED, shown_order=ids, picked=picked,
            submitted_at=func.now(), none_fits=not picked,
        )  # fmt: skip
        session.add(judgement)
        session.flush()
        for position, candidate_id in enumerate(ids, start=1):
            session.add(
                VerdictRow(
                    judgement_id=judgement.id, candidate_id=candidate_id, round_id=round_.id,
                    none_fits=not picked, answer_is_wrong=False, fits=candidate_id in picked,
                    position=position,
                )
            )  # fmt: skip
    round_item.state = RoundItemState.DONE
    session.flush()


def test_close_previews_each_policy_and_trains(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(
        judging=JudgingSettings(overlap=3), admission=AdmissionSettings(policy="majority")
    )
    round_ = make_round(session, project, settings=settings)
    judge(session, round_, 3, [{"0", "1"}, {"0"}, {"0", "2"}])
    url = f"/rounds/{round_.id}/close"
    asked = admin.get(url)
    rows = [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("td, th")]
        for row in page(asked).select("tbody tr")
    ]
    assert rows == [
        ["Anybody says it fits", "3", "1", "100.0 %"],
        ["Most say it fits this round", "1", "1", "100.0 %"],
        ["All say it fits", "1", "1", "100.0 %"],
        ["Dawid–Skene at 90.0 %", "known once people are weighed"],
    ]
    closed = admin.post(url)
    assert closed.headers["Location"] == f"/rounds/{round_.id}"
    session.refresh(round_)
    assert round_.status is RoundStatus.CLOSING
    shown = admin.get(f"/rounds/{round_.id}")
    assert "What fits is being admitted" in text_of(shown, "#toasts")
    assert "Close the round" in text_of(shown, "#round-status")
    assert admin.post(url).status_code == 303  # asked twice, closed once
    close_now(session, round_)
    assert round_.status is RoundStatus.TRAINING
    shown = admin.get(f"/rounds/{round_.id}")
    assert "Admitted: 1 rationale of 1 item" in text_of(shown, "main")
    assert admin.post(url).status_code == 409


def test_close_counts_the_corrected_texts_that_training_would_read(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(training=TrainingSettings(written=True))
    round_ = make_round(session, project, settings=settings)
    make_round_item(session, round_, make_item(session, project))
    judgement = opening.open_next_item(session, round_, make_user(session))
    assert judgement is not None
    edits = {judgement.shown_order[0]: "the ball in the corner is red"}
    submit(session, judgement, none_fits=True, edits=edits)
    url = f"/rounds/{round_.id}/close"
    assert "The training also reads 1 corrected text." in admin.get(url).text
    round_.settings = LoopSettings().model_dump(mode="json")
    session.flush()
    assert "corrected text" not in admin.get(url).text


def test_close_warns_of_what_is_left(admin: TestClient, session: Session, project: Project) -> None:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    asked = admin.get(f"/rounds/{round_.id}/close").text
    assert "1 item is not judged by enough people" in asked
    assert "Nothing is admitted" in asked


def test_cancel_asks_first(admin: TestClient, session: Session, project: Project) -> None:
    round_ = make_round(session, project)
    url = f"/rounds/{round_.id}/cancel"
    assert admin.get(url).status_code == 200
    session.refresh(round_)
    assert round_.status is RoundStatus.JUDGING
    assert admin.post(url).status_code == 303
    session.refresh(round_)
    assert round_.status is RoundStatus.CANCELLED
    assert admin.post(url).status_code == 409
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#cancel-round")


def test_history_tells_who_did_what(admin: TestClient, session: Session, project: Project) -> None:
    make_item(session, project)
    admin.post(f"/projects/{project.slug}/rounds")
    round_ = find_last_round(session, project.id)
    assert round_ is not None
    admin.post(f"/rounds/{round_.id}/cancel")
    lines = [
        line.get_text(" ")
        for line in page(admin.get(f"/rounds/{round_.id}")).select(".timeline li")
    ]
    assert any("generating → cancelled" in line and "by person-" in line for line in lines)
    assert any("Sampling queued" in line for line in lines)
