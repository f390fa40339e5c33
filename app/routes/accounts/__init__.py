"""Addresses of accounts and of people."""
