"""Pages about items and imports."""
