"""Pages about projects, and the start page."""
