"""A run as one HTML file that needs no other: pictures are embedded, nothing is fetched, only our script runs.

The template is in `html/`, its data come from `views.py`. Every text is escaped, and a content security policy
allows no style or script but the two in `html/`.
"""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mlfound.report.contents import Contents
from mlfound.report.views import view

TEMPLATES = Path(__file__).parent / "html"


def page(contents: Contents) -> str:
    """The whole HTML text, under 3 MB: what does not fit is left out and named."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = policy_of(style, script)
    return _rendered("page.html", contents, style=Markup(style), script=Markup(script), policy=policy)


def card(contents: Contents) -> str:
    """How a notebook shows a run: its first figures and its first picture."""
    return _rendered("card.html", contents)


def _rendered(template: str, contents: Contents, **more: str) -> str:
    return environment().get_template(template).render(view(contents), **more)


def environment() -> Environment:
    """The templates in `html/`, every text in them escaped."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy_of(style: str, script: str) -> str:
    """A content security policy for a page with just these."""
    allowed = f"img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
