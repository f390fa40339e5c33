"""The strategies compared: what each answers and explains, beside its controls."""
