"""A LLaVA of real proportions with random weights: 576 image tokens, 32,000 words, 134 M weights.

Speed does not depend on what the weights are, so nothing has to be downloaded.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
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


def save_llava(folder: Path) -> Path:
    """Write model and processor to `folder`, as the auto classes read them; the same every time."""
    torch.manual_seed(0)
    processor = _processor()
    model = LlavaForConditionalGeneration(_config(processor.tokenizer))
    model.generation_config = GenerationConfig(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


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
    chosen = np.random.default_rng(seed).integers(0, N_WORDS - len(SPECIAL), n_words)
    return " ".join(f"w{number}" for number in chosen)


def _config(tokenizer: PreTrainedTokenizerFast) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=512, intermediate_size=2048, num_hidden_layers=10, num_attention_heads=8,
        image_size=IMAGE_PX, patch_size=PATCH_PX, projection_dim=512,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=N_WORDS, hidden_size=640, intermediate_size=1760, num_hidden_layers=12,
        num_attention_heads=10, num_key_value_heads=10, max_position_embeddings=2048,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.vocab["<image>"],
        image_seq_length=(IMAGE_PX // PATCH_PX) ** 2, vision_feature_select_strategy="default",
        vision_feature_layer=-2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip


def _processor() -> LlavaProcessor:
    names = (*SPECIAL, *(f"w{number}" for number in range(N_WORDS - len(SPECIAL))))
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
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
