"""Charts as shapes: where columns, points and gridlines stand. `templates/charts.html` draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

WIDTH, HEIGHT = 300, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 296, 22, 146
"""Of the plot, in the drawing's units; outside of it are the labels."""

_MOST_GRIDLINES = 4
_STEPS = (1, 2, 5)
_GAP = 0.25
"""Of a column's room, left free between two."""


@dataclass(frozen=True, slots=True)
class Gridline:
    y: float
    value: int


@dataclass(frozen=True, slots=True)
class Box:
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Place:
    """A day on the chart.

    Attributes:
        x: of its middle.
        y: of its value: the top of the column, or the point.
        parts: of the column, from the baseline upwards; one for each series.
    """

    day: date
    x: float
    y: float
    value: int
    parts: Sequence[Box]


@dataclass(frozen=True, slots=True)
class TimeChart:
    """One measure over days, from zero up.

    Attributes:
        width: of a column.
        peak: where it is highest; its value is written beside it.
        labelled: days named below the axis.
        line: the points of a line, as SVG has them.
    """

    kind: Literal["columns", "line"]
    places: Sequence[Place]
    gridlines: Sequence[Gridline]
    width: float
    peak: Place
    labelled: Sequence[Place]
    line: str


def gridline_values(highest: int) -> list[int]:
    """Return round numbers from 0 to `highest` or a little above; at most five, whole and evenly apart."""
    scale = 1
    while True:
        for step in _STEPS:
            if step * scale * _MOST_GRIDLINES >= highest:
                count = max(1, -(-highest // (step * scale)))
                return [step * scale * number for number in range(count + 1)]
        scale *= 10


def time_chart(
    kind: Literal["columns", "line"], days: Sequence[date], series: Sequence[Sequence[int]]
) -> TimeChart | None:
    """Return the chart of the sums of `series`, each of which has a value for every day; None if all are 0."""
    sums = [sum(values) for values in zip(*series, strict=True)]
    if not any(sums):
        return None
    values = gridline_values(max(sums))
    scale = (BOTTOM - TOP) / values[-1]
    room = (RIGHT - LEFT) / len(days)
    places = [
        Place(
            day=day,
            x=round(LEFT + room * (number + 0.5), 1),
            y=round(BOTTOM - sums[number] * scale, 1),
            value=sums[number],
            parts=_stacked([values[number] for values in series], scale),
        )
        for number, day in enumerate(days)
    ]
    return TimeChart(
        kind=kind,
        places=places,
        gridlines=[Gridline(round(BOTTOM - value * scale, 1), value) for value in values],
        width=round(room * (1 - _GAP), 2),
        peak=max(places, key=lambda place: place.value),
        labelled=_apart(places),
        line=" ".join(f"{place.x},{place.y}" for place in places),
    )


def _stacked(values: Sequence[int], scale: float) -> list[Box]:
    boxes: list[Box] = []
    top = float(BOTTOM)
    for value in values:
        height = value * scale
        top -= height
        boxes.append(Box(round(top, 1), round(height, 1)))
    return boxes


def _apart(places: Sequence[Place]) -> list[Place]:
    """Return the first, the middle and the last: as many names as have room."""
    chosen = {0: places[0], len(places) - 1: places[-1]}
    if places[2:]:
        chosen[len(places) // 2] = places[len(places) // 2]
    return [chosen[number] for number in sorted(chosen)]
