"""Reads a model's vocabulary without loading the model."""

from transformers import AutoConfig, AutoTokenizer

from worker.ml.errors import ModelNotFoundError, first_line
from worker.ml.model.literal import Marks


def vocabulary_size(name_or_path: str, revision: str | None = None) -> int:
    """Returns the number of tokens that the model chooses from, of a folder or hub name; only its
    config.json is read. Raises ModelNotFoundError.
    """
    try:
        config = AutoConfig.from_pretrained(
            name_or_path, revision=revision, trust_remote_code=False
        )
    except Exception as error:  # a config class may object in any way it likes
        raise ModelNotFoundError(
            f"The configuration of {name_or_path} cannot be read: {first_line(error)} Give the "
            "folder that holds config.json, or the name of a hub model (owner/name)."
        ) from error
    return int(config.get_text_config().vocab_size)


def read_marks(name_or_path: str, revision: str | None = None) -> Marks:
    """Returns the control tokens of a folder or hub name; only its tokenizer's files are read.
    Raises ModelNotFoundError."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name_or_path, revision=revision, trust_remote_code=False
        )
    except Exception as error:  # a tokenizer may object in any way it likes
        raise ModelNotFoundError(
            f"The tokenizer of {name_or_path} cannot be read: {first_line(error)} Give the folder "
            "that holds tokenizer.json, or the name of a hub model (owner/name)."
        ) from error
    return Marks((tokenizer,))
