"""What train does."""
