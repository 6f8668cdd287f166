"""What a result looks like: on the terminal, as CSV, as PNG. It makes text and bytes, and writes no file."""
