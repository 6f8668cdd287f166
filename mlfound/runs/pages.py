"""`report.html` of a run folder, and `index.html` of a folder of them."""

from collections.abc import Sequence
from pathlib import Path

from mlfound.files import write_whole
from mlfound.runs.contents import read_contents
from mlfound.runs.reader import Run


def write_page(folder: Path) -> Path:
    """Write the page made from what is in the folder, give its path. UserError where there is no run."""
    from mlfound.report.page import page

    path = folder / "report.html"
    write_whole(path, page(read_contents(folder)).encode(errors="xmlcharrefreplace"))
    return path


def write_index(runs: Sequence[Run], runs_dir: Path) -> Path:
    """Write the page that lists these runs of the folder, give its path."""
    from mlfound.report.index import index
    from mlfound.runs.overview import overview

    path = runs_dir / "index.html"
    write_whole(path, index(overview(runs), str(runs_dir)).encode(errors="xmlcharrefreplace"))
    return path
