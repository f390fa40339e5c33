"""A base model with an adapter worked into its weights, for programs that serve no adapters."""

import tempfile
import warnings
from pathlib import Path

from peft import PeftModel

from worker.ml.adapters import verify_adapter
from worker.ml.errors import AdapterError, first_line
from worker.ml.loading import load_vlm


def merge_adapter(
    name_or_path: str, adapter: Path, out: Path, *, revision: str | None = None, dtype: str = "auto"
) -> None:
    """Write the merged model with its processor into the new folder `out`, by peft's own merge
    (W + scaling * B A, LoRA, section 4.1), on the CPU. The folder loads like any other model.

    name_or_path, revision, dtype: the base model, as load_vlm takes them. adapter: its folder in
    the store. Raises MlError where the base or the adapter cannot be used, AdapterError if `out`
    is there already.
    """
    if out.exists():
        raise AdapterError(f"{out} is there already. Name a folder that is not.")
    verify_adapter(adapter)
    vlm = load_vlm(name_or_path, revision=revision, device="cpu", dtype=dtype)
    try:
        with warnings.catch_warnings():
            # peft asks an old name of transformers.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            merged = PeftModel.from_pretrained(vlm.model, str(adapter)).merge_and_unload()
    except (ValueError, RuntimeError, KeyError) as error:
        raise AdapterError(
            f"The adapter {adapter.name} does not fit {name_or_path}: {first_line(error)} "
            "Merge it into the base model that it was trained on."
        ) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merge-", dir=out.parent) as folder:
        made = Path(folder) / out.name
        merged.save_pretrained(made)
        vlm.processor.save_pretrained(made)
        made.rename(out)  # complete or absent
