"""Cards of runs."""
