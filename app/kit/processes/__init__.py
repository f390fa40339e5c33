"""Processes of the operating system: children that end with us, and how programs begin and end."""
