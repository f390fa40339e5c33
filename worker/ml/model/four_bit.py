"""A base model in 4 bits: a quarter of bfloat16's memory, while LoRA learns in float32 on top.

NormalFloat with double quantisation, computed in bfloat16, as in QLoRA (Dettmers et al. 2023, arXiv
2305.14314, sections 3 and 4), by bitsandbytes.
"""

from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from worker.ml.errors import DeviceError

FOUR_BIT = "4bit"


def four_bit_options(device: torch.device) -> dict[str, Any]:
    """Returns the options of from_pretrained for 4 bits. Raises DeviceError where it cannot be."""
    if device.type != "cuda":
        raise DeviceError(
            f"A base in 4 bits needs a CUDA GPU, and this is {device}. Choose another number "
            "format (auto), or a worker with a GPU."
        )
    if find_spec("bitsandbytes") is None:
        raise DeviceError(
            "A base in 4 bits needs the package bitsandbytes. Install the extra four-bit "
            "(pip install 'illume[four-bit]') on the model workers, or choose another format."
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {
        "quantization_config": config,
        "dtype": torch.bfloat16,
        "device_map": {"": device},
    }
