"""The base of every other part: database, store, settings, errors, logs. No rules of the domain."""
