"""Statements about projects, members and guidelines."""
