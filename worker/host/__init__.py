"""This worker process: its sign of life, its model, its runs."""
