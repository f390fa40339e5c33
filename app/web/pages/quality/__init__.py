"""Pages of whom and what to trust."""
