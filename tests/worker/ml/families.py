"""Tiny random models of several architecture families, saved with their processors: what a hub
download would be, made from config classes and a word-level tokenizer in a second."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIDE = 28  # of every tiny tower's image

_WORDS = (
    "Q: A: , . ? : seeing that what which is there are how many the a an it in on of left right "
    "red blue green yellow cube ball cone ring small large metal rubber yes no one two three four "
    "colour size shape object because and not has as with near above below User Assistant user "
    "assistant model system"
)
LETTERS = [chr(code) for code in range(33, 127)]
SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>"]


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


def build_llava(folder: Path, *, seed: int = 0) -> None:
    """LLaVA: CLIP tower, Llama, plain prompts (no chat template), 4 image tokens."""
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
        vision_feature_layer=-1,
    )
    torch.manual_seed(seed)
    _save(LlavaForConditionalGeneration(config), folder)
    LlavaProcessor(
        CLIPImageProcessorPil(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def _save(model: Any, folder: Path) -> None:
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
