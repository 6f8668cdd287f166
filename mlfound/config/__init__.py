"""What a user may set: `loading.load` reads it from file and flags, `loading.dump` writes it."""
