from pathlib import Path

import pytest

from tests.support.models.families import FAMILIES
from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.prompts import PromptStyle, PromptText, explained, prompt_text, train_text
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.types import Prompt

ASK = Prompt(Path("x.png"), "Is it red?", None, ", seeing that")
EXPLAIN = Prompt(Path("x.png"), "Is it red?", "yes", ", seeing that")

CONTEXTS = {
    "llava": "<image>Q: Is it red? A:",
    "paligemma": "<image>Q: Is it red? A:",
    "idefics3": "<|im_start|>User:<image>Is it red?<end_of_utterance>\nAssistant:",
    "qwen2_5_vl": (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Is it red?<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "gemma3": (
        "<bos><start_of_turn>user\n<start_of_image>Is it red?<end_of_turn>\n<start_of_turn>model\n"
    ),
    "internvl": "<|im_start|>user\n<IMG_CONTEXT>\nIs it red?<|im_end|>\n<|im_start|>assistant\n",
}
# The blank before the answer, and what the template writes after the assistant's words.
GAPS_AND_ENDS = {
    "llava": (" ", ""),
    "paligemma": (" ", ""),
    "idefics3": (" ", "<end_of_utterance>\n"),
    "qwen2_5_vl": ("", "<|im_end|>\n"),
    "gemma3": ("", "<end_of_turn>\n"),
    "internvl": ("", "<|im_end|>\n"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_each_family(family: str, tmp_path: Path) -> None:
    FAMILIES[family](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    context, (gap, end) = CONTEXTS[family], GAPS_AND_ENDS[family]
    assert prompt_text(vlm, ASK) == PromptText(context, "")
    assert prompt_text(vlm, EXPLAIN) == PromptText(context, f"{gap}yes, seeing that")
    row = explained(Path("x.png"), "Is it red?", "yes", " it glows ", ", seeing that")
    pieces = train_text(vlm, row)
    assert pieces.context == context
    assert [part.text for part in pieces.parts] == [f"{gap}yes", ", seeing that", " it glows"]
    assert [part.loss for part in pieces.parts] == ["answer", None, "rationale"]
    assert pieces.end == end


def test_a_row_is_what_the_prompt_asks_for(llava: Vlm) -> None:
    row = explained(Path("x.png"), EXPLAIN.question, "yes", "it glows", EXPLAIN.opener)
    pieces = train_text(llava, row)
    begun = "".join(part.text for part in pieces.parts[:2])
    assert pieces.context + begun == prompt_text(llava, EXPLAIN).text
    blank = explained(Path("x.png"), EXPLAIN.question, "yes", "  ", EXPLAIN.opener)
    assert [part.loss for part in train_text(llava, blank).parts] == ["answer"]


def test_templates_can_be_changed(llava: Vlm) -> None:
    style = PromptStyle(plain_context="{image}\nQuestion: {question}\nAnswer:", image="<img>")
    text = prompt_text(llava, EXPLAIN, style).text
    assert text == "<img>\nQuestion: Is it red?\nAnswer: yes, seeing that"


def test_a_template_that_drops_the_assistant_is_refused(llava_folder: Path) -> None:
    vlm = load_vlm(str(llava_folder), device="cpu")
    vlm.processor.chat_template = "{{ messages[0]['content'][1]['text'] }}"
    vlm.is_chat = True
    with pytest.raises(ModelUnusableError, match="leaves out the assistant's words"):
        prompt_text(vlm, ASK)
