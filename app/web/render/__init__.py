"""Turns values into HTML: the template environment, charts, Markdown."""
