"""Proving a model before people work with it: what is sampled from it is what will be trained."""
