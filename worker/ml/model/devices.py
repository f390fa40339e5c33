"""Finds the device that a model is to run on, or says that it is not there."""

import torch

from worker.ml.errors import DeviceError


def choose_device(device: str) -> torch.device:
    """Returns the device for "auto", "cpu", "cuda", "cuda:1", "mps". Raises DeviceError if it is
    absent.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(
            f"“{device}” is not a device. Use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            f"The device {device} was asked for, but torch {torch.__version__} sees no CUDA GPU. "
            "Set the device to auto or cpu, or install a CUDA build of torch and check nvidia-smi."
        )
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"The device {device} was asked for, but there are only "
            f"{torch.cuda.device_count()} GPUs, counted from 0."
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("The device mps was asked for, but this is no Apple GPU. Use cpu.")
    return chosen
