"""Chat templates that can serve, and those that cannot, told apart in a sentence."""

import shutil
from pathlib import Path

import pytest

from tests.support.models.families import QWEN_TEMPLATE, build_qwen
from worker.ml.errors import ModelUnusableError, PromptError
from worker.ml.inputs.prompts import prompt_text
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.types import Prompt

ASK = Prompt(Path("x.png"), "Is it red?", None, "")


@pytest.fixture(scope="module")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    build_qwen(folder)
    return folder


@pytest.fixture
def vlm(qwen_folder: Path) -> Vlm:
    return load_vlm(str(qwen_folder), device="cpu")


def test_a_template_that_only_the_tokenizer_has_is_used(qwen_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(qwen_folder, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    tokenizer = load_vlm(str(qwen_folder), device="cpu").tokenizer
    tokenizer.chat_template = QWEN_TEMPLATE
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    vlm = load_vlm(str(folder), device="cpu")
    assert vlm.is_chat
    assert prompt_text(vlm, ASK).context.startswith("<|im_start|>user\n<|vision_start|>")


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}",
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        "{% for m in messages %}{{ m.role }}: {% if m.content is string %}{{ m.content }}"
        "{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}\n{% endfor %}",
    ],
)
def test_a_template_for_texts_only_takes_no_pictures(vlm: Vlm, template: str) -> None:
    vlm.processor.chat_template = template
    with pytest.raises(ModelUnusableError, match="chat template takes no pictures"):
        prompt_text(vlm, ASK)


def test_a_template_says_itself_why_it_fails(vlm: Vlm) -> None:
    vlm.processor.chat_template = "{{ raise_exception('A system turn is needed.') }}"
    with pytest.raises(ModelUnusableError, match=r"fails: A system turn is needed\. It must"):
        prompt_text(vlm, ASK)


def test_a_template_that_fails_with_one_question_costs_that_item(vlm: Vlm) -> None:
    vlm.processor.chat_template = QWEN_TEMPLATE + (
        "{% if 'blue' in messages[0]['content'][1]['text'] %}"
        "{{ raise_exception('No blue, please.') }}{% endif %}"
    )
    assert prompt_text(vlm, ASK).context
    with pytest.raises(PromptError, match=r"item's question: No blue, please\."):
        prompt_text(vlm, Prompt(Path("x.png"), "Is it blue?", None, ""))
