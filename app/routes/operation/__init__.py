"""Addresses for load balancers and supervisors."""
