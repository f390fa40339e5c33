"""Addresses of runs."""
