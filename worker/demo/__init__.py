"""The demo model: a small vision-language model trained from scratch on rendered scenes."""

from pathlib import Path
from typing import Final

# Loaded like any other model, by its folder.
CHECKPOINT: Final = Path(__file__).parent / "checkpoint"
