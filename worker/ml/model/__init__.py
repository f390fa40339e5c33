"""Models: loaded, checked, adapted with LoRA, merged."""
