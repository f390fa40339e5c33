"""Statements on evaluations."""
