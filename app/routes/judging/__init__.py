"""Addresses at which people judge and practise."""
