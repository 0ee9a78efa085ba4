"""From samples to the figures that are printed."""

from collections.abc import Sequence
from statistics import median

from core.errors import Defect

Figures = dict[str, "Figures | float | int | str"]
"""Nested JSON: what is measured, at which concurrency, as which figure."""


def spread(samples: Sequence[float], *, scale: float = 1.0, digits: int = 3) -> Figures:
    """Return median and 99th percentile (nearest rank) of `samples`, each multiplied by `scale`.

    Raises:
        Defect: there are no samples.
    """
    if not samples:
        raise Defect("Nothing was measured.", code="defect.bench")
    rank = -(-99 * len(samples) // 100)
    return {
        "median": round(median(samples) * scale, digits),
        "p99": round(sorted(samples)[rank - 1] * scale, digits),
    }


def at(figures: Figures, *path: str) -> float:
    """Return the number at `path`."""
    found: Figures | float | int | str = figures
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    assert isinstance(found, int | float)
    return found
