"""Turns items into tensors: prompts, pictures, tokens."""
