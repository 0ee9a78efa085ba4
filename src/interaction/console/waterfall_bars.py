"""Where the bars of a waterfall stand: in hundredths of the width, with waits cut short so that work can be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from interaction.spans import Span, SpanKind

WAITS = (SpanKind.WAITING, SpanKind.RESTART)
WAIT_SHARE = 0.12
"""What one wait takes, as a share of all work: minutes of a person would leave nothing of a model's second."""

LEAST = 0.4


@dataclass(frozen=True, slots=True)
class Bar:
    """A span and its place; `x` and `width` are percent, `cut` says that its length tells nothing."""

    span: Span
    x: float
    width: float
    cut: bool


def bars_of(spans: Sequence[Span]) -> list[Bar]:
    """Return a bar for each span, from the left edge to the right one."""
    work = sum(span.duration_ms for span in spans if span.kind not in WAITS) or 1
    lengths = [work * WAIT_SHARE if span.kind in WAITS else span.duration_ms for span in spans]
    total, before, bars = sum(lengths) or 1, 0.0, list[Bar]()
    for span, length in zip(spans, lengths, strict=True):
        x, width = 100 * before / total, max(LEAST, 100 * length / total)
        bars.append(Bar(span, round(min(x, 100 - width), 2), round(width, 2), span.kind in WAITS))
        before += length
    return bars
