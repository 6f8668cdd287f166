"""Notebooks: JSON files that become modules, tests and commands."""
