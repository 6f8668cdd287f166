"""Shows a result on the terminal, as CSV, as PNG. It returns text and bytes and writes no file."""

import logging

# where it cannot write its settings, matplotlib takes a temporary folder, removes it at exit, and warns of it
logging.getLogger("matplotlib").setLevel(logging.ERROR)
