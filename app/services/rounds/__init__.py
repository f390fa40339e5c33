"""Rounds: from the draws of the model to what is trained on."""
