"""A LLaVA of real proportions with random weights: 576 image tokens, 32,000 words, 134 M weights.

Speed does not depend on what the weights are, so nothing has to be downloaded. A small one, of the
same number of image tokens, is there for quick looks, and one of the 7B class for GPUs.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

IMAGE_PX, PATCH_PX = 336, 14
N_WORDS = 32_000
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
PROMPT_WORDS = ("Q", "A", ":", ",", "?", "seeing", "that")
N_MADE_WORDS = N_WORDS - len(SPECIAL) - len(PROMPT_WORDS)


@dataclass(frozen=True)
class Size:
    """Width and depth of the vision tower and of the language model; heads are 64 wide."""

    tower_width: int
    tower_layers: int
    width: int
    layers: int


SIZES = {
    "llava": Size(tower_width=512, tower_layers=10, width=640, layers=12),
    "small": Size(tower_width=256, tower_layers=4, width=256, layers=3),
    "7b": Size(tower_width=1024, tower_layers=24, width=4096, layers=32),
}


def save_llava(folder: Path, size: str, dtype: str = "float32", device: str = "cpu") -> Path:
    """Write model and processor to `folder`, as the auto classes read them; the same every time.
    device: where the weights are drawn, which takes minutes for billions on a CPU."""
    torch.manual_seed(0)
    processor = _processor()
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            model = LlavaForConditionalGeneration(_config(processor.tokenizer, SIZES[size]))
    finally:
        torch.set_default_dtype(before)
    model.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def saved_llava(folder: Path, kept_in: Path | None, size: str, dtype: str, device: str) -> Path:
    """Write the model below `folder`, or once below `kept_in` for all who ask; its folder. One of
    the 7B class takes longer to write than to measure."""
    if kept_in is None:
        return save_llava(folder / "model", size, dtype, device)
    kept = kept_in / f"llava-{size}-{dtype}"
    if not kept.is_dir():
        draft = kept.with_suffix(f".{os.getpid()}")
        save_llava(draft, size, dtype, device).rename(kept)
    return kept


def save_images(folder: Path, n_images: int) -> list[Path]:
    """Pictures of noise, 336 x 336."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(n_images):
        pixels = rng.integers(0, 256, (IMAGE_PX, IMAGE_PX, 3), dtype=np.uint8)
        paths.append(folder / f"image-{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def words(n_words: int, seed: int) -> str:
    """A text of so many words of the tokenizer, one token each."""
    chosen = np.random.default_rng(seed).integers(0, N_MADE_WORDS, n_words)
    return " ".join(f"w{number}" for number in chosen)


def _config(tokenizer: PreTrainedTokenizerFast, size: Size) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=size.tower_width, intermediate_size=4 * size.tower_width,
        num_hidden_layers=size.tower_layers, num_attention_heads=size.tower_width // 64,
        image_size=IMAGE_PX, patch_size=PATCH_PX, projection_dim=size.tower_width,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=N_WORDS, hidden_size=size.width, intermediate_size=size.width * 11 // 4,
        num_hidden_layers=size.layers, num_attention_heads=size.width // 64,
        max_position_embeddings=2048, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.vocab["<image>"],
        image_seq_length=(IMAGE_PX // PATCH_PX) ** 2, vision_feature_select_strategy="default",
        vision_feature_layer=-2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip


def _processor() -> LlavaProcessor:
    names = (*SPECIAL, *PROMPT_WORDS, *(f"w{number}" for number in range(N_MADE_WORDS)))
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", additional_special_tokens=["<image>"], padding_side="left",
    )  # fmt: skip
    side = {"height": IMAGE_PX, "width": IMAGE_PX}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=side, crop_size=side, do_center_crop=False),
        tokenizer=wrapped,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
    )
