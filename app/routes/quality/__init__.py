"""Addresses of whom and what to trust."""
