"""The demo model's shape: a CLIP tower that sees one patch per cell, and a small Llama."""

from __future__ import annotations

from typing import Final

import torch
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

from app.scenes.render import TILE_RGB
from app.scenes.scene import N_CELLS, N_COLS
from worker.demo.vocabulary import IMAGE, build_tokenizer

PATCH_PX: Final = 20
TOWER_PX: Final = PATCH_PX * N_COLS
N_IMAGE_TOKENS: Final = N_CELLS + 1
HIDDEN: Final = 128
VISION_LAYERS: Final = 2
TEXT_LAYERS: Final = 4
POSITION_STD: Final = 4.0
WORD_STD: Final = 0.5


# A conversation in the words that the model was trained on: "<image>Q: … A: …". The last turn is
# left open, so that a begun answer is continued; the turns before it end with the end token.
CHAT_TEMPLATE: Final = """
{%- for turn in messages -%}
  {%- set parts = turn.content -%}
  {%- if parts is string -%}{%- set parts = [{"type": "text", "text": parts}] -%}{%- endif -%}
  {%- for part in parts -%}
    {%- if part.type == "image" -%}{{ "<image>" }}
    {%- elif turn.role == "assistant" -%}{{ " " + part.text | trim }}
    {%- else -%}{{ "Q: " + part.text + " A:" }}
    {%- endif -%}
  {%- endfor -%}
  {%- if turn.role == "assistant" and not loop.last -%}{{ eos_token }}{%- endif -%}
{%- endfor -%}
""".strip()


def build_processor() -> LlavaProcessor:
    side = {"height": TOWER_PX, "width": TOWER_PX}
    images = CLIPImageProcessorPil(
        size=side,
        crop_size=side,
        do_center_crop=False,
        # The board becomes zero, so that a patch says what stands in it and nothing else.
        image_mean=[channel / 255 for channel in TILE_RGB],
        image_std=[0.25, 0.25, 0.25],
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=build_tokenizer(),
        patch_size=PATCH_PX,
        # The class token comes first and stands for the whole picture; see tower.py.
        vision_feature_select_strategy="full",
        image_token=IMAGE,
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Returns the model with random weights; seed torch before the call."""
    vision = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=4 * HIDDEN,
        num_hidden_layers=VISION_LAYERS,
        num_attention_heads=4,
        image_size=TOWER_PX,
        patch_size=PATCH_PX,
        projection_dim=HIDDEN,
        hidden_act="gelu",
    )
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        **ids,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.vocab[IMAGE],
        image_seq_length=N_IMAGE_TOKENS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        **ids,
    )
    model = LlavaForConditionalGeneration(config)
    _start_weights(model)
    model.generation_config = GenerationConfig(**ids, do_sample=False)
    return model


def _start_weights(model: LlavaForConditionalGeneration) -> None:
    """Random weights of a size that suits so narrow a model.

    The libraries' own start (0.02 everywhere) is meant for widths in the thousands: here it leaves
    attention flat and words and positions faint, and the model takes an hour to find a cell by its
    place instead of two minutes.
    """
    positions = model.model.vision_tower.embeddings.position_embedding
    torch.nn.init.normal_(positions.weight, std=POSITION_STD)
    for name, parameter in model.named_parameters():
        if "vision_tower" in name or parameter.dim() != 2:
            continue
        std = WORD_STD if "embed_tokens" in name else parameter.shape[1] ** -0.5
        torch.nn.init.normal_(parameter, std=0.3 * std if "lm_head" in name else std)
