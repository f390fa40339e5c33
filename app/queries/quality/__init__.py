"""Statements of whom and what to trust."""
