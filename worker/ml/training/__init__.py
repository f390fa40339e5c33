"""LoRA training: examples, losses, steps, several processes."""
