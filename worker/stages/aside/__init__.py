"""Stages of the jobs beside the rounds, which a person waits for."""
