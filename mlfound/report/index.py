"""All runs of a folder as one HTML file that needs no other: to sort, to filter, and to compare two of them.

The data stand in a script element that no browser executes; the page's own script makes text of them, never markup.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from mlfound.errors import printable
from mlfound.report.page import TEMPLATES, environment, policy_of


def index(data: Mapping[str, Any], path: str) -> str:
    """The whole HTML text; see runs/overview.py for the data."""
    files = (TEMPLATES / name for name in ("page.css", "index.css", "index.js"))
    style, more, script = (file.read_text(encoding="utf-8") for file in files)
    template = environment().get_template("index.html")
    return template.render(
        data=data,
        title="Runs",
        path=printable(path),
        count=len(data["runs"]),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        style=Markup(style + more),
        script=Markup(script),
        policy=policy_of(style + more, script),
    )
