"""Whether the installation is sound."""
