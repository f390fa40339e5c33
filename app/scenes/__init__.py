"""Rendered scenes: what is in them, how they look, what is asked and what is true of them.

Pure: no database, no web, no torch. The demo project, the exact critic and the recipe of the demo
model all stand on this package.
"""
