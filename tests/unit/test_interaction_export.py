"""A run's evidence as a file: anybody can check it with what Python brings along, and a changed byte shows."""

import hashlib
import json

import pytest
from interaction_samples import ANNA, Tale, answered, asked, parked, resolved
from test_interaction_edge import TALE, Edge, send

from data import RawEvent, export_of


def check(file: str) -> str:
    """Return what is wrong with an export, or nothing. It shares no code with the product."""
    header, *lines = [json.loads(line) for line in file.splitlines()]
    previous = header["genesis"]
    for number, line in enumerate(lines, start=1):
        if "data" not in line or hashlib.sha256(line["data"].encode()).hexdigest() != line["hash"]:
            return f"event {number} was changed"
        event = json.loads(line["data"])
        place = (event["tenant"], event["run"], event["seq"], event["prev"])
        if place != (header["tenant"], header["run"], number, previous):
            return f"event {number} does not belong here"
        previous = line["hash"]
    if (len(lines), previous) != (header["events"], header["head"]):
        return "events are missing at the end"
    return ""


def export(tale: Tale) -> str:
    return export_of(ANNA.tenant, tale.run, [RawEvent(e.event.seq, e.data, e.hash) for e in tale.events])


STORY = answered(resolved(parked(asked())))


def test_an_export_can_be_checked_without_us_and_holds_no_content() -> None:
    file = export(STORY)
    assert check(file) == ""
    assert len(file.splitlines()) == len(STORY.events) + 1
    assert "Please pay" not in file
    assert "Within 30 days" not in file


@pytest.mark.parametrize("number", range(1, len(STORY.events) + 1))
def test_a_flipped_byte_in_any_event_shows(number: int) -> None:
    lines = export(STORY).splitlines()
    middle = len(lines[number]) // 2
    while not lines[number][middle].isalnum():
        middle += 1
    flipped = chr(ord(lines[number][middle]) ^ 1)
    lines[number] = lines[number][:middle] + flipped + lines[number][middle + 1 :]
    assert check("\n".join(lines)) == f"event {number} was changed"


def test_events_that_were_taken_out_or_cut_off_show() -> None:
    lines = export(STORY).splitlines()
    assert check("\n".join(lines[:3] + lines[4:])) == "event 3 does not belong here"
    assert check("\n".join(lines[:-1])) == "events are missing at the end"


def test_bytes_that_somebody_made_no_text_are_exported_as_they_are() -> None:
    events = [RawEvent(e.event.seq, e.data, e.hash) for e in TALE.events]
    broken = [events[0], RawEvent(2, b"\xff" + events[1].data, events[1].hash), *events[2:]]
    file = export_of(ANNA.tenant, TALE.run, broken)
    assert check(file) == "event 2 was changed"
    assert json.loads(file.splitlines()[2])["base64"].startswith("/3si")


async def test_it_comes_as_a_file_with_a_name() -> None:
    answer = await send(Edge().app, "GET", f"/v1/runs/{TALE.run}/export")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert answer.headers["content-disposition"] == f'attachment; filename="{TALE.run}.jsonl"'
    assert check(b"".join(answer.pieces).decode()) == ""
