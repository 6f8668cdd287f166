"""What train has to show when it is done: a file a part."""
