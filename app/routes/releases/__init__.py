"""Addresses of releases."""
