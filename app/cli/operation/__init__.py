"""Commands that start, check, back up and restore the installation."""
