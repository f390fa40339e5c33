"""Statements of admission: votes, what is admitted, and what adjudicators decide."""
