"""Verification of a run's chain, on bytes alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import GENESIS, Actor, PrincipalKind, RunId, TenantId, digest
from core.bodies import CancelRequested, RunOpened
from core.events import Event, Stored
from core.parts import RunKind, Versions
from data import Broken, RawEvent, verify_run

TENANT, RUN = TenantId("ten_a"), RunId("run_a")


def chain(length: int, *, tenant: TenantId = TENANT, run: RunId = RUN) -> list[RawEvent]:
    actor = Actor(kind=PrincipalKind.USER, id="usr_a")
    raw: list[RawEvent] = []
    for seq in range(1, length + 1):
        body = RunOpened(kind=RunKind.TURN, versions=Versions(code="1")) if seq == 1 else CancelRequested()
        event = Event(
            tenant=tenant,
            run=run,
            seq=seq,
            at=f"2026-01-01T00:00:0{seq}.000Z",
            actor=actor,
            prev=raw[-1].hash if raw else GENESIS,
            body=body,
        )
        stored = Stored.seal(event)
        raw.append(RawEvent(seq, stored.data, stored.hash))
    return raw


def resealed(raw: RawEvent, old: bytes, new: bytes) -> RawEvent:
    """Change the bytes and give them the hash that belongs to them, as a careful forger would."""
    data = raw.data.replace(old, new)
    assert data != raw.data
    return RawEvent(raw.seq, data, digest(data))


def test_a_chain_as_it_was_written_holds() -> None:
    verdict = verify_run(TENANT, RUN, chain(4))
    assert verdict.ok
    assert (verdict.tenant, verdict.run, verdict.events) == (TENANT, RUN, 4)


@given(position=st.integers(0, 3), offset=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_changed_byte_is_found_at_its_event(position: int, offset: int, value: int) -> None:
    events = chain(4)
    data = bytearray(events[position].data)
    if data[offset % len(data)] == value:
        return
    data[offset % len(data)] = value
    events[position] = replace(events[position], data=bytes(data))
    verdict = verify_run(TENANT, RUN, events)
    assert (verdict.events, verdict.broken) == (position, Broken.HASH)


@pytest.mark.parametrize("position", range(3))
def test_a_change_with_its_hash_made_anew_is_found_at_the_next_event(position: int) -> None:
    events = chain(4)
    events[position] = resealed(events[position], b"usr_a", b"usr_b")
    verdict = verify_run(TENANT, RUN, events)
    assert (verdict.events, verdict.broken) == (position + 1, Broken.PREVIOUS)


def test_a_missing_event_is_found() -> None:
    events = chain(4)
    assert verify_run(TENANT, RUN, [*events[:1], *events[2:]]).broken is Broken.SEQUENCE
    renumbered = [*events[:1], replace(events[2], seq=2)]
    assert verify_run(TENANT, RUN, renumbered).broken is Broken.SEQUENCE
    assert verify_run(TENANT, RUN, events[1:]).broken is Broken.SEQUENCE


def test_events_in_another_order_or_twice_are_found() -> None:
    first, second, third = chain(3)
    assert verify_run(TENANT, RUN, [first, third, second]).broken is Broken.SEQUENCE
    assert verify_run(TENANT, RUN, [first, second, second]).broken is Broken.SEQUENCE


def test_a_chain_must_start_where_chains_start() -> None:
    first = resealed(chain(1)[0], GENESIS.encode(), b"1" * 64)
    assert verify_run(TENANT, RUN, [first]).broken is Broken.GENESIS


def test_events_of_another_tenant_or_run_are_found() -> None:
    assert verify_run(TENANT, RUN, chain(2, tenant=TenantId("ten_b"))).broken is Broken.TENANT
    assert verify_run(TENANT, RUN, chain(2, run=RunId("run_b"))).broken is Broken.RUN


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"seq": 1'])
def test_bytes_that_are_no_event_are_found(data: bytes) -> None:
    events = chain(2)
    events[1] = RawEvent(2, data, digest(data))
    verdict = verify_run(TENANT, RUN, events)
    assert (verdict.events, verdict.broken) == (1, Broken.UNPARSABLE)


def test_no_events_are_no_chain() -> None:
    assert verify_run(TENANT, RUN, []).broken is Broken.EMPTY
