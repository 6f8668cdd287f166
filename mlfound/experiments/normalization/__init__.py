"""What normalize-check does."""
