"""The benchmark of self-questioning."""
