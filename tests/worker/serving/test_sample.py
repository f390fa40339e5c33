"""Drawing from a server that works, and from one that does not."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from tests.support.models.families import build_llava
from tests.support.models.small_server import Json, SmallServer, running, words_of
from worker.ml.errors import Stopped
from worker.ml.model.vocabulary import read_marks
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled
from worker.serving.connection import Server
from worker.serving.errors import ServerError
from worker.serving.sample import MAX_PROMPTS_IN_TROUBLE, connect, sample_served

CONFIG = SampleConfig(max_new_tokens=9, top_k_share=0.1)
Start = Callable[[SmallServer], SmallServer]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(running(server))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(MAX_PROMPTS_IN_TROUBLE + 2)]
    for number, path in enumerate(paths):
        Image.new("RGB", (20 + number, 20), (number * 9, 90, 60)).save(path)
    return paths


def draws_of(images: Sequence[Path], *, n: int = 2) -> list[Draw]:
    """n draws at two temperatures for each image; the question names the image."""
    return [
        Draw(Prompt(image, f"q{image.stem}", "red", ", seeing that"), temperature, 10 * index + k)
        for index, image in enumerate(images)
        for temperature in (0.3, 0.9)
        for k in range(n)
    ]


def draw(server: SmallServer, draws: Sequence[Draw], **changes: object) -> list[Sampled | Failed]:
    """Everything that a worker does with a server, with little patience."""
    settings = {"url": server.url, "n_requests": 4, "seconds": 5.0, "first_pause": 0.01}
    served = connect(Server(**(settings | changes)), None, None)  # type: ignore[arg-type]
    return sample_served(served, draws, CONFIG, vocabulary=101)


def texts(made: Sequence[Sampled | Failed]) -> list[str]:
    assert all(isinstance(one, Sampled) for one in made), made
    return [one.text for one in made if isinstance(one, Sampled)]


def test_each_draw_gets_its_own_text_several_per_request(start: Start, images: list[Path]) -> None:
    server = start(SmallServer())
    made = draw(server, draws_of(images[:3]))
    assert texts(made) == [
        f"q{index} {10 * index} {position}"
        for index in range(3)
        for _ in "ab"
        for position in (0, 1)
    ]
    first = made[0]
    assert isinstance(first, Sampled)
    assert (first.n_tokens, first.log_probability) == (2, -0.75)
    assert first.trace == {
        "backend": "server",
        "model": "tiny",
        "prompting": "continued",
        "seed": 0,
        "position": 0,
        "top_k": 11,  # 10 % of 101 tokens, rounded up
        "max_tokens": 9,
    }
    asked = server.of_draws()
    assert len(asked) == 6
    assert {body["n"] for body in asked} == {2}
    assert words_of(asked[0])[1] == "red, seeing that"
    assert all(body["continue_final_message"] for body in asked)


def test_a_server_of_one_text_per_request_is_asked_once_per_draw(
    start: Start, images: list[Path]
) -> None:
    server = start(SmallServer(takes_n=False, gives_log_probabilities=False))
    made = draw(server, draws_of(images[:2]))
    assert texts(made) == ["q0 0 0", "q0 1 0"] * 2 + ["q1 10 0", "q1 11 0"] * 2
    assert all(isinstance(one, Sampled) and one.log_probability is None for one in made)
    assert all(isinstance(one, Sampled) and one.n_tokens == 2 for one in made)
    assert len(server.of_draws()) == 8


@pytest.mark.parametrize(
    ("finish_reason", "is_cut"), [("length", True), ("stop", False), ("abort", None), (None, None)]
)
def test_a_text_is_cut_where_the_server_says_so(
    start: Start, images: list[Path], finish_reason: str | None, is_cut: bool | None
) -> None:
    server = start(SmallServer(finish_reason=finish_reason))
    made = draw(server, draws_of(images[:1]))
    assert {one.is_cut for one in made if isinstance(one, Sampled)} == {is_cut}


def test_an_answer_is_asked_for_without_beginning_it(start: Start, images: list[Path]) -> None:
    server = start(SmallServer())
    draws = [Draw(Prompt(images[0], "what is it?", None, ", seeing that"), 0.01, 2**40 + 5)]
    assert texts(draw(server, draws)) == ["what is it? 5 0"]  # seeds are cut to 31 bits
    (asked,) = server.of_draws()
    assert "continue_final_message" not in asked
    assert words_of(asked) == ("what is it?", None)


@pytest.mark.parametrize("trouble", ["500", "503", "429", "hang", "close", "garbage", "none"])
def test_what_goes_wrong_once_is_tried_again(
    start: Start, images: list[Path], trouble: str
) -> None:
    def once(body: Json, n_before: int) -> str | None:
        is_chosen = words_of(body)[0] == "q1" and body["temperature"] == 0.3
        return trouble if is_chosen and n_before == 0 else None

    untroubled = texts(draw(start(SmallServer()), draws_of(images[:3])))
    server = start(SmallServer(trouble=once))
    assert texts(draw(server, draws_of(images[:3]), seconds=1.0)) == untroubled
    assert len(server.of_draws()) == 7


def test_too_many_requests_wait_as_long_as_the_server_says(
    start: Start, images: list[Path]
) -> None:
    server = start(
        SmallServer(trouble=lambda body, n: "429" if body["max_tokens"] > 1 and n < 1 else None)
    )
    assert len(texts(draw(server, draws_of(images[:1], n=1)[:1]))) == 1
    first, second = server.times[-2:]
    assert second - first >= 1.0


def test_fewer_samples_than_asked_for_are_asked_for_again(start: Start, images: list[Path]) -> None:
    server = start(SmallServer(trouble=lambda body, n: "fewer" if body.get("n", 1) > 2 else None))
    made = texts(draw(server, draws_of(images[:1], n=5)))
    # Five asked for and two given, three asked for and one given, the last two at once.
    assert [body.get("n", 1) for body in server.of_draws() if body["temperature"] == 0.3] == [
        5,
        3,
        2,
    ]
    assert made[:5] == ["q0 0 0", "q0 0 1", "q0 2 0", "q0 3 0", "q0 3 1"]


@pytest.mark.parametrize(
    ("trouble", "cause", "said", "n_asked"),
    [
        ("400", "prompt", "told to say 400", 1),
        ("500", "server", "told to say 500", 5),
        ("hang", "server", "no answer within 0.3 s", 2),
        ("close", "server", "", 5),
        ("none", "server", "without a text", 3),
    ],
)
def test_one_bad_item_is_reported_and_the_rest_goes_on(
    start: Start, images: list[Path], trouble: str, cause: str, said: str, n_asked: int
) -> None:
    server = start(
        SmallServer(trouble=lambda body, n: trouble if words_of(body)[0] == "q1" else None)
    )
    made = draw(server, draws_of(images[:4]), seconds=0.3)
    bad = made[4:8]
    assert all(isinstance(one, Failed) and one.cause == cause for one in bad)
    assert all(isinstance(one, Failed) and said in one.reason for one in bad)
    assert len(texts([*made[:4], *made[8:]])) == 12
    asked = [body for body in server.of_draws() if words_of(body)[0] == "q1"]
    assert n_asked <= len(asked) <= 2 * n_asked  # two temperatures


def test_marks_that_people_typed_reach_a_server_as_text(
    start: Start, images: list[Path], tmp_path: Path
) -> None:
    build_llava(tmp_path / "model")
    server = start(SmallServer())
    served = connect(Server(url=server.url, n_requests=1, seconds=5.0), None, None)
    prompt = Prompt(images[0], "is <image> 3 < 5 ?", "yes</s>", ", <eos> that")
    marks = read_marks(str(tmp_path / "model"))
    (made,) = sample_served(served, [Draw(prompt, 0.5, 1)], CONFIG, vocabulary=101, marks=marks)
    assert isinstance(made, Sampled)
    (body,) = server.of_draws()
    sent = json.dumps(body["messages"], ensure_ascii=False)
    assert not any(mark in sent for mark in ("<image>", "<eos>"))
    assert "is <\u2060image> 3 < 5 ?" in sent
    assert "yes</s>, <\u2060eos> that" in sent


def test_a_damaged_image_costs_its_own_draws_only(start: Start, images: list[Path]) -> None:
    images[1].write_bytes(images[1].read_bytes()[:40])
    server = start(SmallServer())
    made = draw(server, draws_of(images[:3]))
    assert all(isinstance(one, Failed) and one.cause == "image" for one in made[4:8])
    assert len(texts([*made[:4], *made[8:]])) == 8
    assert {words_of(body)[0] for body in server.of_draws()} == {"q0", "q2"}


def test_a_server_that_answers_nothing_any_more_ends_the_work(
    start: Start, images: list[Path]
) -> None:
    server = start(SmallServer(trouble=lambda body, n: "500" if body["max_tokens"] > 1 else None))
    with pytest.raises(ServerError, match="gave no answer to 8 items in a row: status 500"):
        draw(server, draws_of(images))


def test_a_server_that_is_not_there_is_named(images: list[Path]) -> None:
    server = SmallServer(url="http://127.0.0.1:9/v1", models=())
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        draw(server, draws_of(images[:1]))


def test_the_key_is_sent_and_never_said(start: Start, images: list[Path]) -> None:
    server = start(SmallServer(key="key-of-the-server"))
    assert draw(server, draws_of(images[:1]), key="key-of-the-server")
    with pytest.raises(ServerError, match="SAMPLING_SERVER_KEY") as refused:
        connect(Server(server.url, key="another-key"), "tiny", None)
    assert "another-key" not in refused.value.message
    assert "another-key" not in repr(Server(server.url, key="another-key"))


def test_cancelling_drops_requests_in_flight(start: Start, images: list[Path]) -> None:
    is_cancelled = threading.Event()

    def cancel(body: Json, n_before: int) -> str | None:
        if body["max_tokens"] == 1:
            return None
        is_cancelled.set()
        return "hang"

    server = start(SmallServer(trouble=cancel))
    served = connect(Server(server.url, seconds=20.0), None, None)
    with pytest.raises(Stopped):
        sample_served(
            served, draws_of(images), CONFIG, vocabulary=101, should_stop=is_cancelled.is_set
        )
    assert not server.closing.is_set(), "the server still hangs; the client did not wait for it"


def test_no_more_requests_at_once_than_allowed(start: Start, images: list[Path]) -> None:
    server = start(SmallServer(takes_n=False))
    assert len(draw(server, draws_of(images, n=3), n_requests=3)) == 6 * len(images)
    assert server.most_at_once <= 3
