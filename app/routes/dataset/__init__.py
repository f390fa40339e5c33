"""Addresses of items, images and imports."""
