"""What backprop-bench does."""
