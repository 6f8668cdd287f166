"""The parts of compare."""
