"""What is found out about a server, the model and adapter that are asked for, and pictures."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support.models.small_server import SmallServer, running, words_of
from worker.ml.errors import ImageError
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.serving.chat import Prompting, without_echo
from worker.serving.connection import Server, retry_after
from worker.serving.errors import ServerError
from worker.serving.pictures import MAX_BYTES, MAX_SIDE, data_url
from worker.serving.sample import connect, sample_served

Start = Callable[[SmallServer], SmallServer]
DIGEST = "ab" * 32
NAME = f"illume-{DIGEST[:16]}"
ADAPTER = (DIGEST, Path("/store/adapters") / DIGEST)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(running(server))


@pytest.mark.parametrize("prompting", list(Prompting))
def test_how_a_sentence_is_continued_is_found_out(start: Start, prompting: Prompting) -> None:
    # Templates that leave the last turn open are told from the fields for it by refusing these.
    is_strict = prompting is Prompting.NATIVE
    server = start(SmallServer(prompting=prompting.value, is_strict=is_strict))
    assert connect(Server(server.url), None, None).abilities.prompting is prompting


def test_fields_that_a_server_refuses_are_left_out(start: Start, tmp_path: Path) -> None:
    server = start(SmallServer(prompting="native", is_strict=True, takes_n=False))
    served = connect(Server(server.url, first_pause=0.01), None, None)
    assert served.abilities.prompting is Prompting.NATIVE
    assert not served.abilities.takes_n
    assert not served.abilities.takes_top_k
    image = tmp_path / "one.png"
    Image.new("RGB", (8, 8)).save(image)
    draws = [Draw(Prompt(image, "q", "red", ", since"), 0.5, 3)]
    (made,) = sample_served(served, draws, SampleConfig(top_k_share=0.5), vocabulary=10)
    assert isinstance(made, Sampled)
    (asked,) = server.of_draws()
    assert "top_k" not in asked
    # transformers' own way to say it
    assert '"top_k": 5' in asked["generation_config"]
    assert '"do_sample": true' in asked["generation_config"]


def test_a_turn_that_cannot_be_left_open_ends_the_question(start: Start, tmp_path: Path) -> None:
    server = start(SmallServer(prompting="turn"))
    served = connect(Server(server.url), None, None)
    image = tmp_path / "one.png"
    Image.new("RGB", (8, 8)).save(image)
    sample_served(
        served,
        [Draw(Prompt(image, "what color?", "red", ", since"), 0.5, 3)],
        SampleConfig(),
        vocabulary=10,
    )
    (asked,) = server.of_draws()
    assert words_of(asked) == ("what color?\nred, since", None)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("it shines", "it shines"),
        ("Red, seeing that it shines", "it shines"),
        (", seeing that it shines", "it shines"),
        ("Seeing that it shines", "it shines"),
        ("red is what it is", "red is what it is"),
    ],
)
def test_a_beginning_that_is_said_again_is_cut_off(said: str, kept: str) -> None:
    assert without_echo(said, Prompt(Path("x"), "q", "red", ", seeing that")) == kept


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/load_lora_adapter"])
def test_the_adapter_is_loaded_where_the_server_can(start: Start, path: str) -> None:
    server = start(SmallServer(lora_path=path))
    served = connect(Server(server.url), None, ADAPTER)
    assert server.adapters == [{"lora_name": NAME, "lora_path": str(ADAPTER[1])}]
    assert served.model == (NAME if path.startswith("/v1") else f"tiny:{NAME}")
    assert {body["model"] for body in server.asked} == {served.model}


@pytest.mark.parametrize("lists", [(), (NAME,)], ids=["nothing of it", "its first set"])
def test_an_adapter_of_several_parts_is_refused_before_anything_is_asked(
    start: Start, tmp_path: Path, lists: tuple[str, ...]
) -> None:
    (tmp_path / "sets" / "tower").mkdir(parents=True)
    server = start(SmallServer(lora_path="/v1/load_lora_adapter", models=("tiny", *lists)))
    with pytest.raises(ServerError, match=r"also holds the set tower; .* Sample locally, or serve"):
        connect(Server(server.url), "tiny", (DIGEST, tmp_path))
    assert server.adapters == []
    assert server.asked == []


def test_the_merged_model_stands_for_an_adapter_of_several_parts(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "sets" / "tower").mkdir(parents=True)
    server = start(SmallServer(models=(f"/models/{NAME}",)))
    found = connect(Server(server.url), None, (DIGEST, tmp_path))
    assert found.model == f"/models/{NAME}"


def test_an_adapter_that_the_server_has_is_not_loaded_again(start: Start) -> None:
    server = start(SmallServer(lora_path="/v1/load_lora_adapter", models=("tiny", NAME)))
    assert connect(Server(server.url), "tiny", ADAPTER).model == NAME
    assert server.adapters == []


def test_an_adapter_of_sglang_is_asked_for_with_its_base(start: Start) -> None:
    server = start(SmallServer(models=("tiny", NAME), owner="sglang"))
    assert connect(Server(server.url), None, ADAPTER).model == f"tiny:{NAME}"


def test_a_name_counts_only_if_listed_where_the_server_takes_any(start: Start) -> None:
    server = start(SmallServer(owner="sglang"))
    with pytest.raises(ServerError, match="does not list it"):
        connect(Server(server.url), f"/models/{NAME}", ADAPTER)


def test_a_refused_key_is_not_taken_for_a_server_without_adapters(start: Start) -> None:
    server = start(SmallServer(key="key-of-the-server"))
    with pytest.raises(ServerError, match="SAMPLING_SERVER_KEY"):
        connect(Server(server.url, key="another-key"), "tiny", ADAPTER)


def test_a_merged_model_counts_by_its_name(start: Start) -> None:
    server = start(SmallServer(models=(f"/models/{NAME}",)))
    assert connect(Server(server.url), None, ADAPTER).model == f"/models/{NAME}"
    unlisted = start(SmallServer(models=()))
    assert connect(Server(unlisted.url), f"/models/{NAME}", ADAPTER).model == f"/models/{NAME}"


def test_the_base_model_never_stands_in_for_an_adapter(start: Start) -> None:
    server = start(SmallServer())
    with pytest.raises(ServerError, match=f"illume model merge {DIGEST[:16]} {NAME}"):
        connect(Server(server.url), "tiny", ADAPTER)
    assert server.asked == []


def test_another_adapter_never_stands_in_for_the_base_model(start: Start) -> None:
    server = start(SmallServer(models=(f"/models/{NAME}",)))
    with pytest.raises(ServerError, match="it lists none"):
        connect(Server(server.url), None, None)
    for adapter in (None, ("cd" * 32, Path("/store/adapters/cd"))):
        with pytest.raises(ServerError, match="carries another adapter"):
            connect(Server(server.url), f"/models/{NAME}", adapter)


def test_one_of_several_models_must_be_named(start: Start) -> None:
    server = start(SmallServer(models=("tiny", "large")))
    with pytest.raises(ServerError, match="it lists tiny, large"):
        connect(Server(server.url), None, None)
    assert connect(Server(server.url), "large", None).model == "large"


def test_a_server_that_takes_no_image_is_said_to_be_unfit(start: Start) -> None:
    server = start(SmallServer(trouble=lambda body, n: "400"))
    with pytest.raises(ServerError, match="vision-language model that has a chat template"):
        connect(Server(server.url), None, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("7", 7.0), ("-3", 0.0), ("9999", 120.0), ("soon", None), ("nan", None)],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def decoded(url: str) -> Image.Image:
    kind, _, data = url.partition(",")
    assert kind.startswith("data:image/")
    return Image.open(BytesIO(base64.b64decode(data)))


def test_small_pictures_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "one.jpg"
    Image.new("RGB", (30, 20), (9, 8, 7)).save(path)
    assert base64.b64decode(data_url(path).partition(",")[2]) == path.read_bytes()


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.effect_noise((2600, 1300), 90).save(path)
    made = decoded(data_url(path))
    assert made.size == (MAX_SIDE, MAX_SIDE // 2)
    assert len(data_url(path)) < 1.4 * MAX_BYTES


def test_pictures_are_turned_as_their_camera_said(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert decoded(data_url(path)).size == (20, 30)


def test_damaged_pictures_are_found_here(tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with pytest.raises(ImageError, match=r"bad\.png"):
        data_url(path)
