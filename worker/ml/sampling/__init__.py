"""Texts drawn from a model, each from its own seed."""
