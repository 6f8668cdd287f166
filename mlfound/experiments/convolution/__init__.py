"""What conv-bench does."""
