"""The page as text: all that a run found is in it, it fits, and nothing from outside is anything but text in it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mlfound.report import palette
from mlfound.report.page import TEMPLATES
from mlfound.results import Column, Table
from mlfound.runs.pages import write_page
from tests.support.run_folders import EPOCHS, SUMMARY, hostile_run, make_run, png

LIMIT = 3_000_000  # bytes


class Seen(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def page_of(path):
    html = write_page(path).read_text(encoding="utf-8")
    assert len(html.encode()) < LIMIT
    return html


def test_all_that_a_run_found_is_there(tmp_path):
    seen = Seen(page_of(make_run(tmp_path)))
    for text in (
        "784-50-10 on MNIST, seed 0: 97.50%", "20261123-043146-train", "completed", "2 min 05 s", "test accuracy",
        "97.50%", "95% interval 97.00% to 98.00%",
        "Test accuracy 97.50%.", "gradients agree", "3e-16", "1e-10", "What the epochs brought", "3 rows", "93.00%",
        "optimizer:", "mnist: 50,000 train", "a processor", "Packages", "abc",
        "mlfound train", "/20261123-043146-train/config.yaml",
    ):  # fmt: skip
        assert text in seen.text, text
    order = [seen.text.index(each) for each in ("Test accuracy 97.50%.", "95% interval", "gradients agree")]
    assert order == sorted(order), "the verdict first, then the figures, then the checks"


@pytest.mark.parametrize(
    ("pictures", "wanted"),
    [(["loss"], "Loss"), ({"loss": "Loss. It falls <b>."}, "Loss. It falls <b>."), (7, "Loss")],
)
def test_a_picture_has_the_text_that_the_summary_gives_it(tmp_path, pictures, wanted):
    """An older run has but a list of names."""
    seen = Seen(page_of(make_run(tmp_path, summary={**SUMMARY, "pictures": pictures})))
    assert [attrs["alt"] for tag, attrs in seen.tags if tag == "img"] == [wanted]


def test_the_settings_that_are_not_the_defaults_stand_on_top(tmp_path):
    path = make_run(tmp_path)
    (path / "config.yaml").write_text("epochs: 20\noptimizer: {lr: 0.1}\n")
    seen = Seen(page_of(path))
    assert "Differs from the defaults: epochs 20 default 10 Checks" in seen.text
    (path / "config.yaml").write_text("epochs: 10\n")
    assert "All settings are the defaults." in Seen(page_of(path)).text
    (path / "config.yaml").write_text("epochs: [")
    assert "defaults" not in Seen(page_of(path)).text.split("Checks")[0]


@pytest.mark.parametrize(
    ("status", "error", "wanted"),
    [
        ("interrupted", "KeyboardInterrupt()", "Interrupted by Ctrl-C."),
        ("failed", "OSError('full')", "Failed: OSError('full')"),
        ("running", None, "Crashed: its process is gone"),
        ("completed", None, "1 of 2 checks failed: bad"),
    ],
)
def test_why_a_run_ended_before_its_time_comes_before_what_it_found(tmp_path, status, error, wanted):
    checks = [{"name": "good", "passed": True, "value": 0, "bound": 0}, {"name": "bad", "passed": False}]
    seen = Seen(
        page_of(make_run(tmp_path, status=status, error=error, summary={**SUMMARY, "checks": checks}))
    )
    assert wanted in seen.text[: seen.text.index("Test accuracy 97.50%.")]


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted", "running"])
def test_a_run_that_did_not_go_well(tmp_path, status):
    checks = [{"name": "good", "passed": True, "value": 0, "bound": 0}, {"name": "bad", "passed": False}]
    seen = Seen(page_of(make_run(tmp_path, status=status, summary={**SUMMARY, "checks": checks})))
    assert {"running": "crashed"}.get(status, status) in seen.text
    assert seen.text.index("failed bad") < seen.text.index("passed good"), "what failed comes first"


def test_a_failed_check_does_not_look_as_if_it_were_at_its_bound(tmp_path):
    checks = [{"name": "accuracy", "passed": False, "value": 0.9798, "bound": 0.98}]
    assert "0.9798" in Seen(page_of(make_run(tmp_path, summary={**SUMMARY, "checks": checks}))).text


def test_nothing_is_fetched_and_nothing_foreign_may_run(tmp_path):
    html = page_of(make_run(tmp_path))
    assert not re.search(r"(?:src|href|url|@import)\s*[=(]?\s*[\"']?(?!data:|#)[a-z]*:?//", html)
    seen = Seen(html)
    for _, attrs in seen.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        assert attrs.get("src", "data:").startswith("data:image/png;base64,") or "src" not in attrs
        assert attrs.get("href", "#").startswith("#")
    [policy] = [
        attrs["content"] for _, attrs in seen.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http:" not in html
    assert "https:" not in html


def test_a_hostile_run_is_text(tmp_path):
    html = page_of(hostile_run(tmp_path))
    seen = Seen(html)
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert [tag for tag, _ in seen.tags].count("img") == 1
    assert {"b", "i"}.isdisjoint(tag for tag, _ in seen.tags)
    assert html.count("</style>") == html.count("</script>") == 1
    assert "owned" in seen.text, "it is shown"
    assert "{{ 7*7 }}" in seen.text, "it is no template"
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_a_long_table_shows_its_first_rows_and_says_so(tmp_path):
    rows = [(number, number / 7, "x" * 30) for number in range(5000)]
    long = Table("long", "", [Column("n"), Column("y"), Column("text")], rows)
    seen = Seen(page_of(make_run(tmp_path, tables=(EPOCHS, long))))
    assert "the first 200 of 5,000 rows · tables/long.csv" in seen.text
    assert sum(tag == "tr" for tag, _ in seen.tags) == 1 + 1 + 4 + 201


@pytest.mark.slow
def test_very_many_wide_tables_still_fit(tmp_path):
    columns = [Column(f"<column>_{number}") for number in range(40)]
    tables = [Table(f"t{n}", "", columns, [["<" * 1000] * 40 for _ in range(100)]) for n in range(30)]
    seen = Seen(page_of(make_run(tmp_path, tables=tables)))
    assert "the first 0 of 100 rows · tables/t9.csv" in seen.text


def test_pictures_that_do_not_fit_are_named(tmp_path):
    path = make_run(tmp_path, plots=("small",), summary={**SUMMARY, "pictures": ["a", "b", "small"]})
    for name in "ab":
        (path / f"plots/{name}.png").write_bytes(png(1000, 1200, noise=True))
    seen = Seen(page_of(path))
    assert [attrs["alt"] for tag, attrs in seen.tags if tag == "img"] == ["A", "Small"], "b is too large"
    assert "Too large for this page: plots/b.png." in seen.text


def test_the_same_folder_gives_the_same_page(tmp_path):
    path = make_run(tmp_path)
    assert page_of(path) == page_of(path)


def test_the_colours_are_those_of_the_pictures():
    css = Path(TEMPLATES / "page.css").read_text(encoding="utf-8")
    light = css[css.index(":root") : css.index("@media")]
    for name in ("blue", "orange", "green", "yellow", "ink", "grey", "pale"):
        assert f"--{name}: {getattr(palette, name.upper())};" in light
