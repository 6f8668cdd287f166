"""What may be expected of a run, and what is said of an expectation that no run could meet or miss."""

import pytest

from mlfound.config.loading import Loaded, dump, load, parse_set
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError

EITHER = "{test_error: 0.016, within: 0.001}, {at_least: {test_accuracy: 0.97}}, or null"
SHARE = "write a fraction from 0 to 1, as in 0.016 for 1.6%, or null"
HIGHER = "higher is better; write at_least: {valid_accuracy: 1}"
NO_BOUND = "it has no bound; write within: 0.001 beside it, or it below at_least or at_most"
NO_FIGURE = "it needs a figure; write one beside it, such as test_error: 0.016"
TWO_FIGURES = "a run reproduces one figure; write one here, others below at_least or at_most"


def load_text(tmp_path, text: str, *sets: str, command: str = "train") -> Loaded:
    (tmp_path / "my.yaml").write_text(text)
    return load(command, "my.yaml", [parse_set(each, flag="") for each in sets])


@pytest.mark.parametrize(
    "value",
    [
        "{test_error: 0.016, within: 0.001, source: 'Simard et al. 2003, table 1'}",
        "{test_accuracy: 0.98, within: 0}",
        "{at_least: {test_accuracy: 0.97, valid_accuracy: 0.96}, at_most: {test_error: 0.03, test_loss: 0.1}}",
        "{train_loss: 0.1, within: 1, at_least: {test_accuracy: 0}}",
        "{valid_loss: 0.1, within: 1, at_most: {valid_loss: 2}}",
    ],
)
def test_an_expectation_is_read_and_written_back_without_what_is_not_expected(tmp_path, value):
    config = load_text(tmp_path, f"expect: {value}\n").config
    assert config == load_text(tmp_path, "seed: 0\n", f"expect={value}").config
    assert "null" not in dump(config).partition("expect:")[2].partition("batch_size")[0]
    assert load_text(tmp_path, dump(config)).config == config
    assert load_text(tmp_path, f"expect: {value}\n", "expect=null").config == TrainConfig()
    assert load_text(tmp_path, f"expect: {value}\n", command="lr-find").config.expect == config.expect


def test_one_that_is_given_whole_replaces_that_of_the_file(tmp_path):
    """Or another paper's source would stand behind the figure."""
    text = "expect: {test_error: 0.016, within: 0.001, source: Simard}\n"
    expect = load_text(tmp_path, text, "expect={test_accuracy: 0.9, within: 0.1}").config.expect
    assert (expect.figures, expect.source) == ({"test_accuracy": 0.9}, None)
    assert load_text(tmp_path, text, "expect.within=0.5").config.expect.source == "Simard"


def test_keys_can_be_set_one_by_one_at_any_depth(tmp_path):
    expect = load_text(
        tmp_path, "seed: 0\n", "expect.at_least.test_accuracy=0.9", "expect.at_most.test_loss=1"
    ).config.expect
    assert (expect.at_least.figures, expect.at_most.figures) == ({"test_accuracy": 0.9}, {"test_loss": 1})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{}", f": it is empty; write {EITHER}"),
        ("{test_error: 0.016}", f".test_error: {NO_BOUND}"),
        ("{within: 0.001}", f".within: {NO_FIGURE}"),
        ("{source: Simard}", f".source: {NO_FIGURE}"),
        ("{within: 0.1, at_least: {test_accuracy: 0.9}}", f".within: {NO_FIGURE}"),
        ("{test_error: 0, within: -1}", ".within: -1 is not valid; write a number, 0 or more, in the figure's unit"),
        ("{test_error: 1.6, within: 0.1}", f".test_error: 1.6 is not valid; {SHARE}"),
        ("{test_loss: -1, within: 0.1}", ".test_loss: -1 is not valid; write a number, 0 or more, or null"),
        ("{at_least: {test_accuracy: 97}}", f".at_least.test_accuracy: 97 is not valid; {SHARE}"),
        ("{at_least: {test_error: 0.3}}", ".at_least.test_error: lower is better; write at_most: {test_error: 0.3}"),
        ("{at_least: {train_loss: 3}}", ".at_least.train_loss: lower is better; write at_most: {train_loss: 3}"),
        ("{at_most: {valid_accuracy: 1}}", f".at_most.valid_accuracy: {HIGHER}"),
        ("{at_most: {}}", ".at_most: it is empty; write a figure such as {test_accuracy: 0.97}, or null"),
        ("0.016", f": 0.016 is not valid; write {EITHER}"),
        ("true", f": true is not valid; write {EITHER}"),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_run_could_meet_or_miss_is_refused(tmp_path, value, says):
    for text, sets, place in (
        (f"expect: {value}\n", (), "my.yaml:1"),
        ("seed: 0\n", (f"expect={value}",), f"expect={value}"),
    ):
        with pytest.raises(UserError) as error:
            load_text(tmp_path, text, *sets)
        assert str(error.value) == f"{place}: expect{says}"


def test_two_figures_are_refused_at_the_second(tmp_path):
    with pytest.raises(UserError) as error:
        load_text(tmp_path, "expect: {test_error: 0.1, test_accuracy: 0.9, within: 0.1}\n")
    assert str(error.value) == f"my.yaml:1: expect.test_accuracy: {TWO_FIGURES}"


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("{test_eror: 0.1, within: 0.1}", "expect.test_error"),
        ("{at_least: {test_acuracy: 0.9}}", "expect.at_least.test_accuracy"),
        ("{test_error: 0.1, withn: 0.1}", "expect.within"),
    ],
)
def test_an_unknown_figure_is_answered_with_the_nearest(tmp_path, value, right):
    with pytest.raises(UserError, match=f"did you mean '{right}'\\?$"):
        load_text(tmp_path, f"expect: {value}\n")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("{valid_loss: 0.1, within: 0.1}", "expect.valid_loss"),
        ("{at_least: {test_accuracy: 0.9, valid_accuracy: 0.9}}", "expect.at_least.valid_accuracy"),
    ],
)
def test_nothing_is_expected_of_validation_rows_where_there_are_none(tmp_path, value, key):
    says = "this split has no validation rows; write a figure of the test set, or split: lesson"
    with pytest.raises(UserError) as error:
        load_text(tmp_path, f"data: {{split: published}}\nexpect: {value}\n")
    assert str(error.value) == f"my.yaml:2: {key}: {says}"
    load_text(tmp_path, f"expect: {value}\n")


def test_a_key_below_what_is_no_section_is_refused_for_that(tmp_path):
    with pytest.raises(UserError, match=r"^my.yaml:1: expect: 5 is not valid"):
        load_text(tmp_path, "expect: 5\n", "expect.at_least.test_accuracy=0.9")
