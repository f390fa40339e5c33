"""Statements about rounds, candidates and adapters."""
