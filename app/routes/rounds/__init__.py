"""Addresses of rounds."""
