"""What a result looks like: on the terminal, as CSV, as PNG. It makes text and bytes, and writes no file."""

import logging

# where it cannot write its settings, matplotlib takes a temporary folder, removes it at exit, and warns of it
logging.getLogger("matplotlib").setLevel(logging.ERROR)
