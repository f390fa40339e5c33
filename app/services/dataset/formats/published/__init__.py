"""Layouts in which datasets with explanations were published."""
