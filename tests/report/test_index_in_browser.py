"""The page of all runs in a real browser: it sorts, filters and compares, and is text whatever the runs say."""

import json
import re

import pytest

from mlfound.runs.listing import list_runs
from mlfound.runs.notes import Notes, write_notes
from mlfound.runs.pages import write_index, write_page
from tests.report.conftest import PHONE
from tests.support.run_folders import HOSTILE, SUMMARY, hostile_run, make_run, write_json

NAMES = ("c-train", "b-train", "a-train")


@pytest.fixture
def runs(tmp_path):
    """Three trainings; the newest has been interrupted, the oldest has a page."""
    for number, (name, lr, accuracy) in enumerate(
        zip(reversed(NAMES), (1e-3, 0.1, 0.05), (0.975, 0.99, 0), strict=True)
    ):
        summary = {**SUMMARY, "metrics": {"test_accuracy": accuracy, "valid_loss": 0.5}}
        path = make_run(tmp_path, name, plots=(), summary=summary, start=f"2026-11-23T04:31:4{number}+00:00")
        (path / "config.yaml").write_text(f"epochs: 10\noptimizer: {{lr: {lr}, momentum: 0.9}}\n")
    facts = json.loads((path / "run.json").read_text())
    write_json(path / "run.json", {**facts, "status": "interrupted"})
    (path / "summary.json").unlink()
    write_page(tmp_path / "a-train")
    write_notes(tmp_path / "b-train", Notes(("good",)))
    return tmp_path


def opened(browser, runs_dir):
    return browser.open(write_index(list_runs(runs_dir), runs_dir))


def shown(browser):
    rows = "[...document.querySelectorAll('#runs tbody tr')].filter(row => !row.hidden)"
    return browser.run(f"return {rows}.map(row => row.cells[1].textContent)")


def head(browser, label):
    [found] = [each for each in browser.heads() if each.text == label]
    return found.find_element("css selector", "button")


def choose(browser, name):
    browser.driver.find_element("css selector", f"input[aria-label='Choose {name}']").click()


def compared(browser):
    cells = "[...document.querySelectorAll('#compared tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    return browser.run(f"return {cells}")


def test_it_opens_from_the_disk_and_asks_for_nothing_else(browser, runs):
    opened(browser, runs)
    assert browser.driver.title == "Runs · mlfound"
    assert shown(browser) == ["c-train", "b-train", "a-train"]
    assert browser.console() == []
    assert browser.requests() == [(runs / "index.html").resolve().as_uri()]
    links = browser.driver.find_elements("css selector", "#runs a")
    assert [link.text for link in links] == ["a-train"], "the others have no page"
    links[0].click()
    assert browser.driver.current_url.endswith("/a-train/report.html")


def test_columns_sort_numbers_as_numbers_and_empty_cells_last(browser, runs):
    opened(browser, runs)
    head(browser, "lr").click()
    assert shown(browser) == ["b-train", "c-train", "a-train"], "0.1, 0.05, 0.001"
    head(browser, "lr").click()
    assert shown(browser) == ["a-train", "c-train", "b-train"]
    head(browser, "test accuracy").send_keys("\n")
    assert shown(browser) == ["b-train", "a-train", "c-train"]
    head(browser, "test accuracy").click()
    assert shown(browser) == ["a-train", "b-train", "c-train"], "no figure stays last"
    head(browser, "run").click()
    assert shown(browser) == ["a-train", "b-train", "c-train"]
    assert [each.get_attribute("aria-sort") for each in browser.heads()].count(None) == len(
        browser.heads()
    ) - 1


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("good", ["b-train"]),
        ("TRAIN 0.1", ["b-train"]),
        ("-good -interrupted", ["a-train"]),
        ("nothing", []),
        ("- ", list(NAMES)),
    ],
)  # fmt: skip
def test_the_filter(browser, runs, words, left):
    opened(browser, runs)
    browser.driver.find_element("id", "filter").send_keys(words)
    assert shown(browser) == left
    assert browser.driver.find_element("id", "count").text == (f"{len(left)} of 3" if words != "- " else "")


def test_two_runs_are_compared(browser, runs):
    opened(browser, runs)
    button = browser.driver.find_element("id", "compare")
    choose(browser, "c-train")
    assert not button.is_enabled()
    choose(browser, "a-train")
    choose(browser, "b-train")  # the first of three is let go
    assert browser.run("return [...document.querySelectorAll('#runs input:checked')].length") == 2
    button.click()
    assert compared(browser) == [
        ["", "a-train", "b-train"],
        ["Settings"], ["optimizer.lr", "0.001", "0.1"],
        ["Figures"], ["test_accuracy", "97.50%", "99.00%"],
        ["Run and machine: no difference"],
    ]  # fmt: skip
    browser.driver.find_element("id", "all").click()
    assert ["optimizer.momentum", "0.9", "0.9"] in compared(browser)
    browser.driver.find_element("css selector", "dialog button").click()
    assert not browser.run("return document.getElementById('sides').open")
    choose(browser, "b-train")
    assert not button.is_enabled()


def test_hostile_runs_are_text(browser, tmp_path):
    path = hostile_run(tmp_path)
    write_page(path)
    write_json(path / "notes.json", {"tags": [HOSTILE], "note": HOSTILE})
    odd = make_run(tmp_path, "</script><script>document.title='owned'</script>".replace("/", "∕"), plots=())
    (odd / "config.yaml").write_text(f'a: "{"<!--<script>" * 3}"\n')
    make_run(tmp_path, "javascript:alert(1)", plots=())
    (tmp_path / "javascript:alert(1)/report.html").write_text("<title>theirs</title>")
    opened(browser, tmp_path)
    assert browser.driver.title == "Runs · mlfound"
    assert sorted(shown(browser)) == sorted(each.name for each in tmp_path.iterdir() if each.is_dir())
    assert browser.run("return document.querySelectorAll('script').length") == 2
    assert browser.run("return document.querySelectorAll('main img, main b').length") == 0
    boxes = browser.driver.find_elements("css selector", "#runs input")
    boxes[0].click(), boxes[1].click()
    browser.driver.find_element("id", "compare").click()
    assert browser.run("return document.querySelectorAll('dialog img, dialog script').length") == 0
    assert any("<script>" in cell for row in compared(browser) for cell in row), "it is shown"
    assert browser.console() == []
    links = browser.run("return [...document.querySelectorAll('#runs a')].map(link => link.href)")
    assert len(links) == 2
    assert all(
        link.startswith(tmp_path.resolve().as_uri()) and link.endswith("/report.html") for link in links
    )
    browser.driver.get(next(link for link in links if "javascript" in link))
    assert browser.driver.title == "theirs"


def test_no_markup_of_a_run_is_in_the_file(tmp_path):
    path = hostile_run(tmp_path)
    write_json(path / "notes.json", {"tags": [HOSTILE, "<!--<script>"]})
    html = write_index(list_runs(tmp_path), tmp_path).read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 2
    assert "<!--<" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert not re.search(r"https?:", html)


def test_figures_that_are_no_numbers_and_names_that_are_no_text(browser, tmp_path):
    path = make_run(tmp_path, "odd", plots=())
    (path / "summary.json").write_text(
        '{"schema": 1, "metrics": {"a": NaN, "b": 1e999, "c": 9007199254740993}}'
    )
    (tmp_path / "nothing").mkdir()
    opened(browser, tmp_path)
    assert shown(browser) == ["nothing", "odd"] or shown(browser) == ["odd", "nothing"]
    assert browser.console() == []


def test_no_runs_at_all(browser, tmp_path):
    opened(browser, tmp_path)
    assert browser.driver.find_element("css selector", "h1").text == "0 runs"
    assert browser.console() == []


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_it_is_no_wider_than_its_window(browser, runs, width):
    opened(browser, runs)
    browser.width(width)
    assert browser.run("return document.documentElement.scrollWidth") == width


def test_the_dark_scheme_is_honoured(browser, runs):
    contrast = opened(browser, runs).contrast_in_schemes()
    assert contrast["light"] > 150
    assert contrast["dark"] < -150
