"""Where the time, the tokens and the money of a run went, read from its events alone."""

from collections.abc import Sequence
from datetime import datetime

from core import RunId, timestamp
from core.events import Stored
from core.parts import RunKind, RunState, Usage
from interaction.answers import Told
from interaction.run_view import state_of
from interaction.spans import Span, SpanKind
from interaction.waterfall import waterfall_of
from orchestration import fold


class Timeline(Told):
    """A run as a waterfall: spans that follow one another, without gap or overlap, from its beginning to its end.

    Attributes:
        ended_at: null while it goes on; then the figures are as of now.
        total_ms: `active_ms` (at work), `waiting_ms` (for people) and `restart_ms` (nobody at work) together.
        by_kind: milliseconds by kind of span; they add up to the total too.
        usage: of the whole run; the cost is in millionths of `currency`.
        spans: none for a log of a day, in which nothing goes on between its events.
    """

    run: RunId
    kind: RunKind
    state: RunState
    opened_at: str
    ended_at: str | None
    total_ms: int
    active_ms: int
    waiting_ms: int
    restart_ms: int
    by_kind: dict[SpanKind, int]
    usage: Usage
    currency: str
    spans: list[Span]


def timeline_of(events: Sequence[Stored], *, now: datetime, currency: str) -> Timeline:
    """Return a run's waterfall; `now` is where one that goes on is cut."""
    progress = fold(events)
    goes_on = progress.run.kind not in (RunKind.ACCESS, RunKind.ADMIN)
    walk = waterfall_of(events, now)
    spans = walk.spans if goes_on else []
    by_kind = {kind: sum(span.duration_ms for span in spans if span.kind is kind) for kind in SpanKind}
    total, waiting, restart = sum(by_kind.values()), by_kind[SpanKind.WAITING], by_kind[SpanKind.RESTART]
    return Timeline(
        run=events[0].event.run,
        kind=progress.run.kind,
        state=state_of(progress),
        opened_at=events[0].event.at,
        ended_at=timestamp(walk.at) if progress.ended else None,
        total_ms=total,
        active_ms=total - waiting - restart,
        waiting_ms=waiting,
        restart_ms=restart,
        by_kind={kind: spent for kind, spent in by_kind.items() if spent},
        usage=progress.usage,
        currency=currency,
        spans=spans,
    )
