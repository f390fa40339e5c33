"""Statements about releases and what goes into them."""
