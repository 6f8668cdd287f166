"""The run folder: made, written, read."""
