"""What compare does."""
