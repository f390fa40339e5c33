"""The benchmark of interactive perception."""
