"""Quality: whom and what to trust."""
