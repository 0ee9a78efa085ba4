"""A table can be opened in a spreadsheet: nothing in it is run, and every value is where it belongs."""

import csv
import io

import pytest

from interaction.tables import csv_of


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1", '=HYPERLINK("http://x.example")']
)
def test_a_text_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    _, (given, number) = csv.reader(io.StringIO(csv_of(["a", "b"], [[cell, -5]]), newline=""))
    assert given == f"'{cell}"
    assert number == "-5"


def test_values_keep_their_places_whatever_is_in_them() -> None:
    table = csv_of(["a", "b", "c"], [['say "no", please', None, 3], ["two\nlines", "", 0]])
    assert [*csv.reader(io.StringIO(table, newline=""))] == [
        ["a", "b", "c"],
        ['say "no", please', "", "3"],
        ["two\nlines", "", "0"],
    ]
