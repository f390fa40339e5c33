"""Statements that prove that the database works."""
