"""docs/evidence.md is what the kept figures and the configs of today make, and no row is forgotten."""

import pytest

from tests.bench import evidence


def test_the_page_is_made_from_the_figures():
    assert evidence.PAGE.read_text() == evidence.page()


def test_every_published_config_is_a_row():
    assert {file.stem for file in evidence.CONFIGS.glob("*.yaml")} == {*evidence.ROWS}


def test_figures_of_another_config_are_none(monkeypatch):
    assert evidence.figures_of("mlp-64") is not None
    other = evidence.config_of("mlp-64") | {"epochs": 11}
    monkeypatch.setattr(evidence, "config_of", lambda name: other)
    assert evidence.figures_of("mlp-64") is None


def line_of(name, accuracies):
    figures = {
        "accuracies": accuracies,
        "images": 10_000,
        "epochs": 3,
        "minutes": 1.25,
        "commit": "0123456789",
    }
    return evidence.line(name, evidence.config_of(name), figures)


@pytest.mark.parametrize("name", evidence.ROWS)
def test_a_row_has_the_mean_and_where_it_is_from(name):
    line = line_of(name, [0.9, 0.92, 0.94])
    assert line.count("|") == evidence.HEAD.splitlines()[-1].count("|")
    assert ("92.00% (" in line) == (name == "course-cnn-bn")
    assert ("8.00% (" in line) == (name != "course-cnn-bn")
    seeds = evidence.config_of(name)["replicates"]
    assert line.endswith(f"| no | {seeds} | 3 | 1.2 | `0123456` |")


@pytest.mark.parametrize("name", evidence.ROWS)
def test_a_row_holds_up_to_the_bound_of_its_config(name):
    config = evidence.config_of(name)
    metric, expect = evidence.metric_of(config), config["expect"]
    for off, holds in (expect["within"] - 1e-4, "yes"), (expect["within"] + 1e-4, "no"):
        wanted = 1 - expect[metric] if metric.endswith("error") else expect[metric]
        assert f"| {holds} |" in line_of(name, [wanted - off] * 3)
