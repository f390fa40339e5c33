"""Addresses of projects, members and guidelines."""
