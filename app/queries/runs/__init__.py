"""Statements about runs, shards and workers."""
