"""A dataset found, fetched, verified against the SHA-256 in `registry.py`, read, split and normalised."""
