from pathlib import Path

import pytest
import torch

from worker.ml.errors import DeviceError
from worker.ml.model.four_bit import four_bit_options
from worker.ml.model.loading import load_vlm


def test_four_bits_without_a_gpu_say_what_to_do(llava_folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"needs a CUDA GPU, and this is cpu\. Choose"):
        load_vlm(str(llava_folder), device="cpu", dtype="4bit")


def test_four_bits_without_the_package_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.ml.model.four_bit.find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"pip install 'illume\[four-bit\]'"):
        four_bit_options(torch.device("cuda"))
