"""Modules that an adapter holds beside LoRA: what kinds there are, how they stand, their files."""
