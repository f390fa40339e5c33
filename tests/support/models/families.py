"""Tiny random models of several architecture families, saved with their processors: what a hub
download would be, made from config classes and a word-level tokenizer in a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessorPil,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaConfig,
    GotOcr2ImageProcessorPil,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLImageProcessorPil,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLProcessor,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
)

from worker.ml.model.processing import image_only

SIDE = 28  # of every tiny tower's image

_WORDS = (
    "Q: A: , . ? : seeing that what which is there are how many the a an it in on of left right "
    "red blue green yellow cube ball cone ring small large metal rubber yes no one two three four "
    "colour size shape object because and not has as with near above below User Assistant user "
    "assistant model system"
)
LETTERS = [chr(code) for code in range(33, 127)]
SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>"]
# PaliGemma's processor adds its location and segmentation tokens to every tokenizer.
PALIGEMMA_EXTRA = [f"<loc{n:04d}>" for n in range(1024)] + [f"<seg{n:03d}>" for n in range(128)]

QWEN_EXTRA = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]

# Chat templates in the shape of the families' own, pictures and texts only.
_TURN = """{%% for message in messages %%}%s{%% if message['content'] is string %%}\
{{ message['content'] }}{%% else %%}{%% for part in message['content'] %%}\
{%% if part['type'] == 'image' %%}%s{%% else %%}{{ part['text'] }}{%% endif %%}{%% endfor %%}\
{%% endif %%}%s{%% endfor %%}{%% if add_generation_prompt %%}%s{%% endif %%}"""


def chat_template(turn: str, image: str, end: str, assistant: str) -> str:
    """A template of four parts: what opens a turn, a picture's mark, what ends a turn, and what
    begins the assistant's words."""
    return _TURN % (turn, image, end, assistant)


_ROLE = "<|im_start|>{{ message['role'] }}\n"
QWEN_TEMPLATE = chat_template(
    _ROLE,
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<|im_end|>\n",
    "<|im_start|>assistant\n",
)
INTERNVL_TEMPLATE = chat_template(
    _ROLE, "<IMG_CONTEXT>\n", "<|im_end|>\n", "<|im_start|>assistant\n"
)
GEMMA_TEMPLATE = "{{ bos_token }}" + chat_template(
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else 'user' }}\n",
    "<start_of_image>",
    "<end_of_turn>\n",
    "<start_of_turn>model\n",
)
IDEFICS_TEMPLATE = "<|im_start|>" + chat_template(
    "{{ message['role'] | capitalize }}:"
    "{% if message['content'][0]['type'] != 'image' %} {% endif %}",
    "<image>",
    "<end_of_utterance>\n",
    "Assistant:",
)


def tiny_tokenizer(extra: list[str], *, bos: bool = False, **named: str) -> Any:
    """Words and letters; a word of the list is one token, everything else is spelt out. Blanks are
    "▁" in front of a word, as in most real vocabularies. `extra`: special tokens of the family;
    `named`: which of them the processor asks for by name (image_token="<image>", ...)."""
    words = [f"▁{word}" for word in _WORDS.split()] + _WORDS.split()
    vocabulary = list(dict.fromkeys([*SPECIAL, *extra, "▁", "\n", *LETTERS, *words]))
    ids = {token: index for index, token in enumerate(vocabulary)}
    model = models.Unigram([(token, -1.0 - len(token) * 0.01) for token in ids], unk_id=1)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Replace("▁", " ")
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens=named,
    )
    made.add_special_tokens(
        {"additional_special_tokens": extra}, replace_extra_special_tokens=False
    )
    return made


def text_settings(vocabulary: int) -> dict[str, Any]:
    """A two-layer language model with grouped key-value heads."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


def siglip_tower() -> SiglipVisionConfig:
    return SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=14,
        vision_use_head=False,
    )


def build_llava(folder: Path, *, seed: int = 0, feature_layer: int = -1) -> None:
    """LLaVA: CLIP tower, Llama, plain prompts (no chat template), 4 image tokens. feature_layer:
    which of the tower's layers is read; the real one reads the last but one."""
    tokenizer = tiny_tokenizer(["<image>"])
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=14,
            projection_dim=32,
        ),
        text_config=LlamaConfig(**text_settings(len(tokenizer))),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=feature_layer,
    )
    torch.manual_seed(seed)
    save(LlavaForConditionalGeneration(config), folder)
    LlavaProcessor(
        CLIPImageProcessorPil(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def build_idefics3(folder: Path, *, seed: int = 0) -> None:
    """Idefics 3, the first SmolVLM: chat, pictures cut into tiles, so that rows differ in image
    tokens and tiles."""
    extra = [
        "<fake_token_around_image>",
        "<image>",
        "<end_of_utterance>",
        "<global-img>",
        "<|im_start|>",
        *(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5)),
    ]
    tokenizer = tiny_tokenizer(extra, image_token="<image>")
    config = Idefics3Config(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": 7,
        },
        text_config=LlamaConfig(**text_settings(len(tokenizer))),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    save(Idefics3ForConditionalGeneration(config), folder)
    Idefics3Processor(
        Idefics3ImageProcessorPil(
            size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE}
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE,
    ).save_pretrained(folder)


def build_qwen(folder: Path, *, seed: int = 0) -> None:
    """Qwen2.5-VL: chat, pictures of any size, three-dimensional rotary positions."""
    tokenizer = tiny_tokenizer(QWEN_EXTRA)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        text_config={
            **text_settings(len(tokenizer)),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
            },
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    save(Qwen2_5_VLForConditionalGeneration(config), folder)
    image_only(Qwen2_5_VLProcessor)(
        Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 9}),
        tokenizer,
        None,
        chat_template=QWEN_TEMPLATE,
    ).save_pretrained(folder)


def build_paligemma(folder: Path, *, seed: int = 0) -> None:
    """PaliGemma: plain, image and prompt seen from both sides, what follows causal."""
    tokenizer = tiny_tokenizer(["<image>"], image_token="<image>")
    size = len(tokenizer) + len(PALIGEMMA_EXTRA)
    config = PaliGemmaConfig(
        vision_config={**siglip_tower().to_dict(), "projection_dim": 32},
        text_config=GemmaConfig(**text_settings(size), head_dim=8),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    save(PaliGemmaForConditionalGeneration(config), folder)
    images = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = 4
    PaliGemmaProcessor(images, tokenizer).save_pretrained(folder)


def build_gemma3(folder: Path, *, seed: int = 0) -> None:
    """Gemma 3: chat, sliding windows shorter than a prompt, image tokens that see each other."""
    named = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    extra = [*named.values(), "<start_of_turn>", "<end_of_turn>"]
    tokenizer = tiny_tokenizer(extra, **named)
    ids = tokenizer.convert_tokens_to_ids
    config = Gemma3Config(
        vision_config=siglip_tower(),
        text_config=Gemma3TextConfig(
            **text_settings(len(tokenizer)),
            head_dim=8,
            sliding_window=12,
            layer_types=["sliding_attention", "full_attention"],
        ),
        mm_tokens_per_image=4,
        image_token_index=ids("<image_soft_token>"),
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(config)
    # Born as zeros, which would hide every picture from the language model.
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.2)
    save(model, folder)
    Gemma3Processor(
        Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}),
        tokenizer,
        chat_template=GEMMA_TEMPLATE,
        image_seq_length=4,
    ).save_pretrained(folder)


def build_internvl(folder: Path, *, seed: int = 0) -> None:
    """InternVL: chat, pixel-shuffled tower, Qwen 2 as language model."""
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = tiny_tokenizer([*named.values(), "<|im_start|>", "<|im_end|>"], **named)
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=(SIDE, SIDE),
            patch_size=(7, 7),
        ),
        text_config=Qwen2Config(**text_settings(len(tokenizer))),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    save(InternVLForConditionalGeneration(config), folder)
    image_only(InternVLProcessor)(
        GotOcr2ImageProcessorPil(
            size={"height": SIDE, "width": SIDE}, crop_to_patches=True, max_patches=3
        ),
        tokenizer,
        None,
        image_seq_length=4,
        chat_template=INTERNVL_TEMPLATE,
    ).save_pretrained(folder)


def build_qwen3_5(folder: Path, *, seed: int = 0) -> None:
    """Qwen3.5: as Qwen2.5-VL, and half of its layers keep a recurrent state instead of keys and
    values."""
    tokenizer = tiny_tokenizer(QWEN_EXTRA)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen3_5Config(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "patch_size": 14,
            "num_position_embeddings": 16,
        },
        text_config={
            **text_settings(len(tokenizer)),
            "head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
                "mrope_interleaved": True,
                "partial_rotary_factor": 1.0,
            },
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    save(Qwen3_5ForConditionalGeneration(config), folder)
    image_only(Qwen3VLProcessor)(
        Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 9}),
        tokenizer,
        None,
        chat_template=QWEN_TEMPLATE,
    ).save_pretrained(folder)


FAMILIES: dict[str, Callable[[Path], None]] = {
    "llava": build_llava,
    "idefics3": build_idefics3,
    "qwen2_5_vl": build_qwen,
    "paligemma": build_paligemma,
    "gemma3": build_gemma3,
    "internvl": build_internvl,
}
# Only worker.ml's own tests run these.
MORE_FAMILIES: dict[str, Callable[[Path], None]] = {"qwen3_5": build_qwen3_5}


def save(model: Any, folder: Path) -> None:
    """Weights a little larger than at birth, so that the random model prefers something."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(3.0)
    model.save_pretrained(folder)


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (56, 56)) -> list[Path]:
    """`count` different pictures, each one coloured square on another colour."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        picture = Image.new("RGB", size, (40 * index % 256, 90, 200 - 30 * index % 200))
        left = 4 + 5 * index % (size[0] // 2)
        ImageDraw.Draw(picture).rectangle(
            (left, 10, left + 18, 30), fill=(250, 60 * index % 256, 0)
        )
        paths.append(folder / f"{index}.png")
        picture.save(paths[-1])
    return paths
