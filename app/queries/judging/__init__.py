"""Statements about the queue, judgements and practice."""
