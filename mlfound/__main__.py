"""`python -m mlfound` is `mlfound`."""

from mlfound.cli import main

main()
