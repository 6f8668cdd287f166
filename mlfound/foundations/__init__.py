"""The lesson, by hand: torch gives arrays and random numbers, nothing more."""
