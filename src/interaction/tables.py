"""Tables as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet takes a cell that begins so for a formula, which may send data away; so are the wide forms."""


def csv_of(header: Sequence[str], lines: Iterable[Sequence[str | int | None]]) -> str:
    """Return a table by RFC 4180; a text that a spreadsheet would run has an apostrophe before it."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in line] for line in lines)
    return table.getvalue()


def _cell(value: str | int | None) -> str | int:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
