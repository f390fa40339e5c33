"""Errors of `worker.ml`, told to a person: what happened and what to do about it."""

from pathlib import Path


class MlError(Exception):
    """A model, an adapter or a setting cannot be used. The message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ModelNotFoundError(MlError):
    """There is no such folder, hub repository or revision, or it cannot be reached."""


class BaseChangedError(ModelNotFoundError):
    """A folder holds another content than the one that was asked for; `found` is its digest."""

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


class ModelUnusableError(MlError):
    """The files are there but they are not an image-text model that this program can drive."""


class DeviceError(MlError):
    """The device that was asked for is absent, or too small even for one row."""


class AdapterError(MlError):
    """An adapter is missing, damaged, or belongs to another base model."""


class PromptError(MlError):
    """The texts of one item cannot be given to the model, whatever the picture is."""


class ImageError(MlError):
    """One image cannot be read or is refused by the processor; `image` says which."""

    def __init__(self, message: str, image: Path) -> None:
        super().__init__(message)
        self.image = image


def explain(error: Exception) -> str | None:
    """Returns the sentence of an error of ours, for programs that end with it; None for others."""
    return error.message if isinstance(error, MlError) else None


class Stopped(Exception):
    """`should_stop` said so; no error. Everything worth keeping has been saved."""


def first_line(error: BaseException) -> str:
    """Returns the first line of what a library said, ended as a sentence."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].strip()
    return text if text.endswith((".", "!", "?")) else text + "."
