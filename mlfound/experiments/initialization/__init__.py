"""What init-stats does."""
