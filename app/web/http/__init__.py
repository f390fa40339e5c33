"""Requests and answers: middleware, errors, forms, addresses, uploads."""
