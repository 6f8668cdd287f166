"""The page in a real browser, headless, from `file://`: it works, it is quiet, and nothing leaves it."""

from colorsys import rgb_to_hsv
from io import BytesIO

import pytest
from PIL import Image

from mlfound.report.palette import BLUE, GREEN, ORANGE
from mlfound.results import Column, Table
from mlfound.runs.pages import write_page
from tests.support.run_folders import SUMMARY, hostile_run, make_run

PHONE = 390


def test_it_opens_from_the_disk_whole_and_quiet(browser, tmp_path):
    path = write_page(make_run(tmp_path, plots=("loss", "accuracy")))
    browser.open(path)
    assert browser.driver.title == "784-50-10 on MNIST, seed 0: 97.50% · mlfound"
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


def write_picture(run, *bands):
    """A picture as large as ours are, its bands in these colours."""
    picture = Image.new("RGB", (1170, 700))
    for number, colour in enumerate(bands):
        picture.paste(colour, (0, 700 * number // len(bands), 1170, 700))
    picture.save(run / "plots/loss.png")


@pytest.fixture
def pictured(tmp_path):
    """A run whose picture is as large as ours are, above white in three colours."""
    run = make_run(
        tmp_path, plots=("loss", "accuracy"), summary={**SUMMARY, "pictures": {"loss": "It falls."}}
    )
    write_picture(run, "white", BLUE, ORANGE, GREEN)
    return run


LARGE = "document.getElementById('large')"


def test_a_picture_opens_large_by_click_and_by_key_and_closes_again(browser, pictured):
    browser.open(write_page(pictured))
    button = browser.driver.find_element("css selector", ".pictures button")
    assert button.accessible_name == "It falls."
    assert button.size["width"] < 560
    for opens, closes in (("click", "click"), ("key", "Escape"), ("key", "Close")):
        button.click() if opens == "click" else button.send_keys("\n")
        assert browser.run(f"return {LARGE}.open && {LARGE}.matches(':modal')")
        large = browser.driver.find_element("css selector", "#large img")
        assert (large.size["width"], large.get_attribute("alt")) == (1170, "It falls.")
        match closes:
            case "click":
                large.click()
            case "Escape":
                browser.driver.switch_to.active_element.send_keys("\ue00c")
            case "Close":
                assert browser.driver.switch_to.active_element.text == "Close"
                browser.driver.switch_to.active_element.send_keys("\n")
        assert not browser.run(f"return {LARGE}.open")
        assert browser.driver.switch_to.active_element == button, "the keyboard is where it was"
    assert browser.console() == []


def test_a_picture_that_is_too_large_for_the_window_is_fitted_to_it(browser, pictured):
    Image.new("RGB", (1170, 1600)).save(pictured / "plots/loss.png")
    browser.open(write_page(pictured))
    browser.driver.find_element("css selector", ".pictures button").click()
    size = browser.driver.find_element("css selector", "#large img").size
    assert (size["height"], round(size["width"])) == (844, round(1170 * 844 / 1600))


def test_on_a_phone_a_picture_opens_in_its_full_size_to_be_dragged_and_pinched(browser, pictured):
    browser.open(write_page(pictured)).width(PHONE)
    assert browser.driver.find_element("css selector", "figcaption").is_displayed()
    browser.driver.find_element("css selector", ".pictures button").click()
    assert browser.driver.find_element("css selector", "#large img").size["width"] == 1170
    touch(browser, [(350 - 30 * step, 400) for step in range(10)])
    assert browser.run(f"return {LARGE}.scrollLeft") > 200
    touch(
        browser, [(180 - 8 * step, 400) for step in range(10)], [(220 + 8 * step, 400) for step in range(10)]
    )
    assert browser.run("return visualViewport.scale") > 1.5
    assert browser.run(f"return {LARGE}.open"), "neither is a tap"


def touch(browser, *fingers):
    """Each finger goes down at the first of its places, over the others, and up."""
    steps = [
        [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        for places in zip(*fingers, strict=True)
    ]
    for kind, points in [
        ("touchStart", steps[0]),
        *(("touchMove", step) for step in steps[1:]),
        ("touchEnd", []),
    ]:
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_in_the_dark_pictures_are_dark_and_colours_keep_their_hue(browser, pictured):
    """White becomes a dark grey. 20 degrees of hue are a sixth of what lies between blue and green."""
    browser.open(write_page(pictured))
    picture = browser.driver.find_element("css selector", ".pictures img")

    def bands():
        seen = Image.open(BytesIO(picture.screenshot_as_png)).convert("RGB")
        return [seen.getpixel((seen.width // 2, int((n + 0.5) * seen.height / 4))) for n in range(4)]

    def hues(colours):
        return [360 * rgb_to_hsv(*(part / 255 for part in colour))[0] for colour in colours]

    (white, *light), _ = bands(), browser.prefer("dark")
    dark, *coloured = bands()
    sheet = browser.run("return getComputedStyle(document.querySelector('.pictures button')).backgroundColor")
    browser.prefer("")
    assert white == (255, 255, 255)
    assert sheet == f"rgb{dark}", "the picture ends where its frame does, unseen"
    assert max(dark) < 40
    assert all(abs(a - b) < 20 for a, b in zip(hues(light), hues(coloured), strict=True))


def test_a_script_in_a_name_or_value_does_nothing(browser, tmp_path):
    browser.open(write_page(hostile_run(tmp_path)))
    assert browser.driver.title == "<b>hostile & co · mlfound", "no script has set another"
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
    assert browser.driver.title.startswith("784-50-10 on MNIST")
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


@pytest.fixture
def paper(browser):
    """The browser as if it printed, from a dark screen; a width is that between the margins of a sheet of A4."""
    for media, scheme in (("print", "dark"), ("", "")):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        if media:
            yield browser


@pytest.mark.parametrize("width", [688, 1017], ids=["upright", "landscape"])
def test_on_paper_there_is_one_column_and_no_list_of_packages_or_digests(paper, pictured, width):
    paper.open(write_page(pictured)).width(width)
    left = "each => each.getBoundingClientRect().left"
    lefts = f"return [...document.querySelectorAll('figure, .pairs:not(.packages)')].map({left})"
    assert len(set(paper.run(lefts))) == 1
    assert len(paper.run(lefts)) == 7
    shown = paper.driver.find_element("css selector", "body").text
    assert "a processor" in shown
    for left_out in ("Packages", "log.txt", "tap to enlarge", "Enlarge"):
        assert left_out not in shown
    [digest] = paper.driver.find_elements("css selector", ".digest")
    assert digest.size["width"] < 120
    assert digest.size["height"] < 24, "a line"
    assert paper.run("return document.documentElement.scrollWidth <= innerWidth")
    for white in ("body", ".pictures button"):
        ground = f"return getComputedStyle(document.querySelector('{white}')).backgroundColor"
        assert paper.run(ground) == "rgb(255, 255, 255)"


def test_on_paper_what_is_folded_is_unfolded(browser, tmp_path):
    browser.open(write_page(make_run(tmp_path)))
    folded = "return document.querySelectorAll('details[data-print]:not([open])').length"
    assert browser.run(folded) > 0
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(folded) == 0
    assert browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(folded) > 0
