"""Statements about people, their sessions and links."""
