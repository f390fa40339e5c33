"""Statements about items and images."""
