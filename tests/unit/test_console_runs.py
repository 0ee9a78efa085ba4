"""What the pages of runs are drawn with: bars that fit, and a place for every event."""

from typing import get_args

from core.bodies import Body
from interaction.console.run_events import GROUPS, group_of_type
from interaction.console.waterfall_bars import LEAST, bars_of
from interaction.spans import Span, SpanKind


def span(kind: SpanKind, milliseconds: int) -> Span:
    at = "2026-11-24T12:00:00.000Z"
    return Span(kind=kind, start=at, end=at, offset_ms=0, duration_ms=milliseconds, events=[1])


def test_an_hour_of_a_person_leaves_room_to_see_a_second_of_work() -> None:
    model, waiting, tool = bars_of(
        [span(SpanKind.MODEL, 900), span(SpanKind.WAITING, 3_600_000), span(SpanKind.TOOL, 100)]
    )
    assert [bar.cut for bar in (model, waiting, tool)] == [False, True, False]
    assert model.width > 75 > waiting.width > tool.width
    assert [model.x, waiting.x, tool.x] == [0, model.width, round(100 - tool.width, 2)]


def test_bars_of_nothing_at_all_still_fit() -> None:
    assert bars_of([]) == []
    for bar in bars_of([span(SpanKind.DECISION, 0)] * 300):
        assert bar.width == LEAST
        assert 0 <= bar.x <= 100 - bar.width


def test_every_kind_of_event_can_be_looked_for() -> None:
    types = {body.model_fields["type"].default for body in get_args(get_args(Body)[0])}
    assert len(types) > 15
    assert {group_of_type(name) for name in types} == set(GROUPS)
    assert {name for name in types if group_of_type(name) == "run"} == {
        "run_opened",
        "run_parked",
        "run_resumed",
        "run_ended",
    }
