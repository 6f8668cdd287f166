"""Faster engines for the lesson's training step, with the same mathematics."""
