"""Loading a processor, also where an optional library for videos is missing."""

from importlib import import_module
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.processing_utils import ProcessorMixin

from worker.ml.errors import ModelUnusableError, first_line
from worker.ml.model.files import own_code_sentence
from worker.ml.model.vision import needs_torchvision


def load_processor(folder: Path, config: Any, name: str) -> Any:
    """Returns the processor of the model in `folder`, with a tokenizer that pads on the left.

    Pictures are always prepared by PIL where the family has a PIL version: torchvision resizes a
    little differently, and the same model must see the same pixels on every machine.
    """
    try:
        processor = _with_all_parts(folder, config)
    except Exception as error:  # a processor may object in any way it likes
        if "trust_remote_code" in str(error):
            raise ModelUnusableError(own_code_sentence(name)) from error
        if "torchvision" in str(error).lower():
            raise ModelUnusableError(needs_torchvision(name)) from error
        raise ModelUnusableError(
            f"{name} has no processor that can be loaded: {first_line(error)} "
            "Its folder needs preprocessor_config.json or processor_config.json and the "
            "tokenizer's files."
        ) from error
    if not isinstance(processor, ProcessorMixin) or not hasattr(processor, "image_processor"):
        raise ModelUnusableError(
            f"{name} has a {type(processor).__name__} but nothing that prepares images. "
            "Its folder needs preprocessor_config.json or processor_config.json."
        )
    tokenizer: Any = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if not getattr(processor, "chat_template", None):  # some folders give it to the tokenizer only
        processor.chat_template = getattr(tokenizer, "chat_template", None)
    return processor


def _with_all_parts(folder: Path, config: Any) -> Any:
    family: Any = PROCESSOR_MAPPING.get(type(config), None)
    takes_video = family is not None and "video_processor" in family.get_attributes()
    if takes_video and not _video_works():
        return _without_video(folder, family)
    processor = AutoProcessor.from_pretrained(
        folder, config=config, local_files_only=True, trust_remote_code=False
    )
    if isinstance(processor, ProcessorMixin) and hasattr(processor, "image_processor"):
        processor.image_processor = _image_processor(folder)
    return processor


def _image_processor(folder: Path) -> Any:
    return AutoImageProcessor.from_pretrained(
        folder, backend="pil", local_files_only=True, trust_remote_code=False
    )


def _video_works() -> bool:
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError):  # a build for another torch fails while loading
        return False
    return True


def _without_video(folder: Path, family: Any) -> Any:
    parts = {
        "image_processor": _image_processor(folder),
        "tokenizer": AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        ),
        "video_processor": None,
    }
    settings, _ = family.get_processor_dict(folder, local_files_only=True, trust_remote_code=False)
    settings.pop("video_processor", None)
    return image_only(family).from_args_and_dict(
        [parts[attribute] for attribute in family.get_attributes()], settings
    )


def image_only(family: Any) -> Any:
    """Returns the processor class `family` without its video part: preparing videos needs
    torchvision, pictures do not, and this program only ever shows pictures.
    """

    class ImageOnly(family):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != "video_processor"]

        def apply_chat_template(self, *args: Any, **kwargs: Any) -> Any:
            # What SmolVLM's own version adds is a default for the number of video frames.
            return ProcessorMixin.apply_chat_template(self, *args, **kwargs)

    ImageOnly.__name__ = ImageOnly.__qualname__ = family.__name__  # what save_pretrained writes
    return ImageOnly
