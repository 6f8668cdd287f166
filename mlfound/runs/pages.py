"""`report.html` of a run folder."""

from pathlib import Path

from mlfound.files import write_whole
from mlfound.runs.contents import read_contents


def write_page(folder: Path) -> Path:
    """Write the page made from what is in the folder, give its path. UserError where there is no run."""
    from mlfound.report.page import page

    path = folder / "report.html"
    write_whole(path, page(read_contents(folder)).encode(errors="xmlcharrefreplace"))
    return path
