"""The page in a real browser, headless, from `file://`: it works, it is quiet, and nothing leaves it."""

from mlfound.results import Column, Table
from mlfound.runs.pages import write_page
from tests.support.run_folders import hostile_run, make_run

PHONE = 390


def test_it_opens_from_the_disk_whole_and_quiet(browser, tmp_path):
    path = write_page(make_run(tmp_path, plots=("loss", "accuracy")))
    browser.open(path)
    assert browser.driver.title == "20261123-043146-train · mlfound"
    assert browser.run("return [...document.images].map(image => image.naturalWidth)") == [90, 90]
    assert browser.run("return getComputedStyle(document.querySelector('.cards')).display") == "grid"
    assert browser.console() == []
    asked = browser.requests()
    assert path.resolve().as_uri() in asked
    assert all(url == path.resolve().as_uri() or url.startswith("data:image/png") for url in asked)


def test_columns_sort_as_numbers_and_as_texts_by_click_and_by_key(browser, tmp_path):
    browser.open(write_page(make_run(tmp_path)))
    heads = browser.heads()
    assert not any(head.get_attribute("aria-sort") for head in heads)

    heads[1].find_element("css selector", "button").click()
    assert browser.column(0) == ["2", "1", "10"], "the loss upwards, no loss last"
    assert heads[1].get_attribute("aria-sort") == "ascending"
    heads[1].find_element("css selector", "button").click()
    assert browser.column(0) == ["1", "2", "10"], "downwards, and still no loss last"
    assert heads[1].get_attribute("aria-sort") == "descending"

    heads[0].find_element("css selector", "button").send_keys("\n")
    assert browser.column(0) == ["1", "2", "10"], "as numbers, not as texts"
    assert [head.get_attribute("aria-sort") for head in heads] == ["ascending", None, None, None, None]
    heads[3].find_element("css selector", "button").click()
    assert browser.column(3) == ["400 ms", "500 ms", "1.50 s"], "by the seconds, not by what is read"
    heads[4].find_element("css selector", "button").click()
    assert browser.column(4)[-2:] == ["b9", "b10"], "texts with numbers in them"


def test_a_sort_takes_whole_rows_and_leaves_the_other_table(browser, tmp_path):
    tables = [Table(name, "", [Column("n"), Column("word")], [(2, "b"), (1, "a")]) for name in ("one", "two")]
    browser.open(write_page(make_run(tmp_path, tables=tables)))
    browser.heads(1)[0].find_element("css selector", "button").click()
    assert (browser.column(0, 1), browser.column(1, 1)) == (["1", "2"], ["a", "b"])
    assert (browser.column(0, 0), browser.column(1, 0)) == (["2", "1"], ["b", "a"])


def test_a_picture_becomes_large_by_click_and_small_again(browser, tmp_path):
    browser.open(write_page(make_run(tmp_path, plots=("loss", "accuracy"))))
    button = browser.driver.find_element("css selector", ".pictures button")
    small = button.size["width"]
    button.click()
    assert button.size["width"] > 1.8 * small
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.size["width"] == small


def test_a_script_in_a_name_or_value_does_nothing(browser, tmp_path):
    browser.open(write_page(hostile_run(tmp_path)))
    assert browser.driver.title.startswith("<script>"), "no script has set another"
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return [...document.images].every(image => image.naturalWidth > 0)")
    browser.heads()[0].find_element("css selector", "button").click()
    assert browser.column(1) == ["1", "2"]
    assert browser.console() == []
    assert not [url for url in browser.requests() if not url.startswith(("file:", "data:"))]


def test_the_policy_stops_what_would_slip_in(browser, tmp_path):
    """Were the escaping broken, the browser would still refuse; and the tests above would see a request."""
    path = write_page(make_run(tmp_path))
    foreign = (
        "<script>document.title = 'owned'</script><img src='http://127.0.0.1:9/a' onerror='document.title=1'>"
        "<style>h1 { display: none }</style></body>"
    )
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("</body>", foreign), encoding="utf-8")
    browser.open(path)
    assert browser.driver.title == "20261123-043146-train · mlfound"
    assert browser.run("return getComputedStyle(document.querySelector('h1')).display") != "none"
    assert sum("Content Security Policy" in message for message in browser.console()) >= 3

    start, end = whole.index('<meta http-equiv="Content'), whole.index('<meta name="viewport"')
    path.write_text((whole[:start] + whole[end:]).replace("</body>", foreign), encoding="utf-8")
    browser.open(path)
    assert "http://127.0.0.1:9/a" in browser.requests()


def test_nothing_is_wider_than_a_phone(browser, tmp_path):
    wide = Table("wide", "", [Column(f"column_number_{n}") for n in range(30)], [["x" * 60] * 30])
    for folder in (make_run(tmp_path / "runs", tables=[wide]), hostile_run(tmp_path)):
        browser.open(write_page(folder))
        browser.width(PHONE)
        assert browser.run("return innerWidth") == PHONE
        assert browser.run("return document.documentElement.scrollWidth") == PHONE
        overhang = (
            "return [...document.querySelectorAll('h1, h2, .cards div, figure, dl, details, .scroll, pre')]"
        )
        assert browser.run(f"{overhang}.every(each => each.getBoundingClientRect().right <= {PHONE})")


def test_the_dark_scheme_is_honoured(browser, tmp_path):
    contrast = browser.open(write_page(make_run(tmp_path))).contrast_in_schemes()
    assert contrast["light"] > 150
    assert contrast["dark"] < -150


def test_on_paper_what_is_folded_is_unfolded(browser, tmp_path):
    browser.open(write_page(make_run(tmp_path)))
    folded = "return document.querySelectorAll('details[data-print]:not([open])').length"
    assert browser.run(folded) > 0
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(folded) == 0
    assert browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(folded) > 0
