"""Projects: their members, settings and guidelines, and their end."""
