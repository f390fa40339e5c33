"""Datasets that leave the house: frozen, numbered, the same to the byte when built again."""
