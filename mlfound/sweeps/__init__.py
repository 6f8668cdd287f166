"""A grid of settings and seeds: its cells, where they are carried out, and what they come to."""
