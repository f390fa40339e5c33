"""Tiny random models of further architecture families, in the manner of families.py: three that
reach their picture by another way than marks in the text (Q-Former and cross-attention), and
newer ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    CLIPVisionConfig,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vImageProcessorPil,
    Glm4vProcessor,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessorPil,
    Idefics2Processor,
    InstructBlipConfig,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
    MistralConfig,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessorPil,
    MllamaProcessor,
    OPTConfig,
    Qwen2Config,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)

from tests.support.models.families import (
    IDEFICS_TEMPLATE,
    QWEN_EXTRA,
    QWEN_TEMPLATE,
    SIDE,
    chat_template,
    save,
    siglip_tower,
    text_settings,
    tiny_tokenizer,
)
from worker.ml.model.processing import image_only

LLAMA_TURN = "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n"
MLLAMA_TEMPLATE = "{{ bos_token }}" + chat_template(
    LLAMA_TURN,
    "<|image|>",
    "<|eot_id|>",
    "<|start_header_id|>assistant<|end_header_id|>\n",
)
GLM_TEMPLATE = "[gMASK]<sop>" + chat_template(
    "<|{{ message['role'] }}|>\n",
    "<|begin_of_image|><|image|><|end_of_image|>",
    "",
    "<|assistant|>\n",
)


def _clip_tower(**more: Any) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=14,
        projection_dim=32,
        **more,
    )


def _opt_settings(vocabulary: int) -> dict[str, Any]:
    """OPT, the language model of the first BLIP-2: learned positions, no rotary ones."""
    return OPTConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        dropout=0.0,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    ).to_dict()


def _q_former(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "encoder_hidden_size": 32,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


_BLIP_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": 14,
    "initializer_range": 0.02,
}


def _blip_images() -> BlipImageProcessorPil:
    return BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def build_blip2(folder: Path, *, seed: int = 0) -> None:
    """BLIP-2: a Q-Former asks the tower with four queries; its processor puts their marks in front
    of the text itself."""
    tokenizer = tiny_tokenizer(["<image>"])
    config = Blip2Config(
        vision_config=_BLIP_TOWER,
        qformer_config=_q_former(100),
        text_config=_opt_settings(len(tokenizer)),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(seed)
    model = Blip2ForConditionalGeneration(config)
    _spread_queries(model)
    save(model, folder)
    Blip2Processor(_blip_images(), tokenizer, num_query_tokens=4).save_pretrained(folder)


def build_instructblip(folder: Path, *, seed: int = 0) -> None:
    """InstructBLIP: as BLIP-2, and the Q-Former reads the question too."""
    tokenizer, of_queries = tiny_tokenizer(["<image>"]), tiny_tokenizer([])
    config = InstructBlipConfig(
        vision_config=_BLIP_TOWER,
        qformer_config=_q_former(len(of_queries)),
        text_config=LlamaConfig(**text_settings(len(tokenizer))).to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(seed)
    model = InstructBlipForConditionalGeneration(config)
    _spread_queries(model)
    save(model, folder)
    InstructBlipProcessor(
        _blip_images(), tokenizer, of_queries, num_query_tokens=4
    ).save_pretrained(folder)


def _spread_queries(model: Any) -> None:
    """Queries are born as zeros, which all ask the same."""
    with torch.no_grad():
        model.query_tokens.normal_()


def build_mllama(folder: Path, *, seed: int = 0) -> None:
    """Mllama (Llama 3.2 Vision): every other layer looks at the picture by cross-attention; the
    text has one mark for it."""
    extra = [
        "<|image|>",
        "<|python_tag|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ]
    tokenizer = tiny_tokenizer(extra)
    settings = text_settings(len(tokenizer)) | {"num_hidden_layers": 4}
    config = MllamaConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 4,
            "intermediate_size": 64,
            "vision_output_dim": 64,
            "image_size": SIDE,
            "patch_size": 14,
            "max_num_tiles": 2,
            "intermediate_layers_indices": [0],
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        },
        text_config={
            **settings,
            "cross_attention_layers": [1, 3],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    torch.manual_seed(seed)
    model = MllamaForConditionalGeneration(config)
    with torch.no_grad():  # born closed: no picture would get through
        for name, parameter in model.named_parameters():
            if name.endswith(("gate", "attn_gate", "mlp_gate", "gate_attn", "gate_ffn")):
                parameter.fill_(0.5)
    save(model, folder)
    MllamaProcessor(
        MllamaImageProcessorPil(size={"height": SIDE, "width": SIDE}, max_image_tiles=2),
        tokenizer,
        chat_template=MLLAMA_TEMPLATE,
    ).save_pretrained(folder)


def build_qwen3_vl(folder: Path, *, seed: int = 0) -> None:
    """Qwen3-VL: what early layers of the tower see goes into early layers of the language model."""
    tokenizer = tiny_tokenizer(QWEN_EXTRA)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "out_hidden_size": 32,
            "patch_size": 14,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        text_config={
            **text_settings(len(tokenizer)),
            "head_dim": 8,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
                "mrope_interleaved": True,
            },
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    save(Qwen3VLForConditionalGeneration(config), folder)
    image_only(Qwen3VLProcessor)(
        Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 9}),
        tokenizer,
        None,
        chat_template=QWEN_TEMPLATE,
    ).save_pretrained(folder)


def build_glm4v(folder: Path, *, seed: int = 0) -> None:
    """GLM-4.1V: three-dimensional positions, and a template that ends no assistant's turn."""
    extra = [
        "[gMASK]",
        "<sop>",
        "<|user|>",
        "<|assistant|>",
        "<|image|>",
        "<|video|>",
        "<|begin_of_image|>",
        "<|end_of_image|>",
        "<|begin_of_video|>",
        "<|end_of_video|>",
    ]
    tokenizer = tiny_tokenizer(extra)
    ids = tokenizer.convert_tokens_to_ids
    config = Glm4vConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "image_size": 56,
            "patch_size": 14,
            "out_hidden_size": 32,
        },
        text_config={
            **text_settings(len(tokenizer)),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [1, 1, 2],
            },
        },
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"),
        image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"),
        video_end_token_id=ids("<|end_of_video|>"),
    )
    torch.manual_seed(seed)
    save(Glm4vForConditionalGeneration(config), folder)
    image_only(Glm4vProcessor)(
        Glm4vImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 18}),
        tokenizer,
        None,
        chat_template=GLM_TEMPLATE,
    ).save_pretrained(folder)


def build_llava_next(folder: Path, *, seed: int = 0) -> None:
    """LLaVA-NeXT: the picture in tiles, and whole; a token at the end of each row of tiles."""
    tokenizer = tiny_tokenizer(["<image>"])
    pinpoints = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = LlavaNextConfig(
        vision_config=_clip_tower(),
        text_config=LlamaConfig(**text_settings(len(tokenizer))),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
    )
    torch.manual_seed(seed)
    save(LlavaNextForConditionalGeneration(config), folder)
    LlavaNextProcessor(
        LlavaNextImageProcessorPil(
            size={"shortest_edge": SIDE},
            crop_size={"height": SIDE, "width": SIDE},
            image_grid_pinpoints=pinpoints,
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def build_llava_onevision(folder: Path, *, seed: int = 0) -> None:
    """LLaVA-OneVision: SigLIP's tower and Qwen 2, tiles, a chat template."""
    tokenizer = tiny_tokenizer([*QWEN_EXTRA[:2], "<image>", "<video>"])
    ids = tokenizer.convert_tokens_to_ids
    pinpoints = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = LlavaOnevisionConfig(
        vision_config=siglip_tower(),
        text_config=Qwen2Config(**text_settings(len(tokenizer))),
        image_token_index=ids("<image>"),
        video_token_index=ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio="anyres_max_4",
    )
    torch.manual_seed(seed)
    save(LlavaOnevisionForConditionalGeneration(config), folder)
    image_only(LlavaOnevisionProcessor)(
        LlavaOnevisionImageProcessorPil(
            size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=pinpoints
        ),
        tokenizer,
        None,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_4",
        chat_template=chat_template(
            "<|im_start|>{{ message['role'] }}\n",
            "<image>\n",
            "<|im_end|>\n",
            "<|im_start|>assistant\n",
        ),
    ).save_pretrained(folder)


def build_idefics2(folder: Path, *, seed: int = 0) -> None:
    """Idefics 2: a perceiver makes the same number of tokens of every picture."""
    extra = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<|im_start|>"]
    tokenizer = tiny_tokenizer(extra)
    config = Idefics2Config(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
        },
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 8,
            "num_key_value_heads": 2,
        },
        text_config=MistralConfig(**text_settings(len(tokenizer)), head_dim=8),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(seed)
    save(Idefics2ForConditionalGeneration(config), folder)
    Idefics2Processor(
        Idefics2ImageProcessorPil(
            size={"shortest_edge": SIDE, "longest_edge": 56}, do_image_splitting=False
        ),
        tokenizer,
        image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE,
    ).save_pretrained(folder)


FURTHER_FAMILIES: dict[str, Callable[[Path], None]] = {
    "blip2": build_blip2,
    "instructblip": build_instructblip,
    "mllama": build_mllama,
    "qwen3_vl": build_qwen3_vl,
    "glm4v": build_glm4v,
    "llava_next": build_llava_next,
    "llava_onevision": build_llava_onevision,
    "idefics2": build_idefics2,
}
