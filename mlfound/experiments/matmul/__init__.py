"""What matmul-bench does."""
