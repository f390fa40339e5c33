"""From items to tensors: prompts, pictures, tokens."""
