"""Readers of data files: each yields checked rows and collects what is wrong with the others."""
