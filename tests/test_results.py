"""What experiments give back: tables made of records, results that add up."""

from types import SimpleNamespace as Record

from mlfound.results import Check, Column, Picture, Result, Table


def test_a_table_of_records_has_a_cell_for_each_column():
    columns = [Column("seed"), Column("loss", of="valid.loss"), Column("half", of=lambda each: each.seed / 2)]
    table = Table.of(
        "t", "T", columns, [Record(seed=n, valid=Record(loss=0.1 * n)) for n in (1, 2)], shown="never"
    )
    assert table == Table("t", "T", columns, [[1, 0.1, 0.5], [2, 0.2, 1.0]], shown="never")


def test_results_add_up_in_their_order():
    one = Result(
        {"a": 1}, checks=[Check("x", True, 0, 1)], findings=["A."], pictures=[Picture("p", "kind", {})]
    )
    other = Result({"b": 2}, "failed", findings=["B."], tables=[Table("t", "", (), ())], tensors={"w": 0})
    both = one + other
    assert (both.metrics, both.findings, both.tensors) == ({"a": 1, "b": 2}, ["A.", "B."], {"w": 0})
    assert (both.checks, both.tables, both.pictures) == (one.checks, other.tables, one.pictures)
    assert both.status == (other + one).status == "failed"
    assert (one + one).passed


def test_the_metrics_that_are_named_come_first():
    result = Result({"a": 1, "b_x": 2, "c": 3, "b_y": 4}, findings=["F."]).ranked("c", "b_*", "none")
    assert list(result.metrics.items()) == [("c", 3), ("b_x", 2), ("b_y", 4), ("a", 1)]
    assert result.findings == ["F."]
