"""What somebody who follows a run is given, and when."""

import asyncio

import uvloop

from core import GENESIS, Actor, PrincipalKind, RunId, TenantId
from core.bodies import Body, RunEnded, RunParked, RunResumed
from core.events import Event, Stored
from core.parts import RunState
from orchestration.live import FRAME_SECONDS, QUEUE_LIMIT, Delta, Follower, Hub, Snapshot

TENANT, RUN = TenantId("ten_a"), RunId("run_a")
RESUMED = RunResumed(cause="restart")


def happened(body: Body = RESUMED, seq: int = 1) -> Stored:
    actor = Actor(kind=PrincipalKind.AGENT, id="support")
    return Stored.seal(
        Event(tenant=TENANT, run=RUN, seq=seq, at="2026-11-24T10:00:00.000Z", actor=actor, prev=GENESIS, body=body)
    )


async def took(follower: Follower, within: float = 5.0) -> tuple[list[object], float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    items = await follower.take(within)
    return list(items), loop.time() - began


async def test_the_first_thing_that_happens_is_told_at_once() -> None:
    follower = Follower()
    waiting = asyncio.create_task(took(follower))
    await asyncio.sleep(0)
    follower.put(event := happened())
    items, seconds = await waiting
    assert items == [event]
    assert seconds < FRAME_SECONDS


async def test_what_comes_in_quick_succession_is_told_once_a_frame_with_text_joined() -> None:
    follower = Follower()
    follower.put(Delta("a"))
    await follower.take(1)
    waiting = asyncio.create_task(took(follower))
    await asyncio.sleep(0)
    for text in "bcd":
        follower.put(Delta(text))
    items, seconds = await waiting
    assert items == [Delta("bcd")]
    assert seconds > FRAME_SECONDS / 2


async def test_what_happened_while_the_reader_was_busy_waits_for_the_frame_too() -> None:
    follower = Follower()
    follower.put(happened())
    await follower.take(1)
    follower.put(Delta("text"))
    items, seconds = await took(follower)
    assert items == [Delta("text")]
    assert seconds > FRAME_SECONDS / 2


def test_pieces_of_text_are_told_on_the_loop_that_the_product_runs_on() -> None:
    """Its timers that are due at once are no timers: nothing may be asked of them."""

    async def told() -> str:
        follower, text = Follower(), ""
        for _ in range(3):
            waiting = asyncio.create_task(took(follower))
            await asyncio.sleep(FRAME_SECONDS)  # the next piece is told at once
            for piece in "ab":
                follower.put(Delta(piece))
            items, _ = await waiting
            text += "".join(item.text for item in items if isinstance(item, Delta))
        return text

    assert uvloop.run(told()) == "ababab"


async def test_the_end_and_a_park_wait_for_no_frame() -> None:
    for last in (RunEnded(state=RunState.COMPLETED), RunParked(cause="approval", until="2026-11-25T10:00:00.000Z")):
        follower = Follower()
        follower.put(happened())
        await follower.take(1)
        waiting = asyncio.create_task(took(follower))
        await asyncio.sleep(0)
        follower.put(Delta("text"))
        follower.put(end := happened(last, 2))
        items, seconds = await waiting
        assert items == [Delta("text"), end]
        assert seconds < FRAME_SECONDS / 2


async def test_silence_is_told_as_nothing_when_its_time_is_up() -> None:
    assert await Follower().take(0.01) == []


async def test_who_falls_too_far_behind_is_cut_off() -> None:
    hub = Hub()
    with hub.follow(TENANT, RUN) as (live, follower):
        for seq in range(QUEUE_LIMIT + 1):
            live.event(happened(seq=seq + 1))
        assert live.followers == set()
        items = await follower.take(1)
        assert len(items) == QUEUE_LIMIT + 1
        assert items[-1] is None


async def test_who_joins_in_the_middle_sees_the_text_so_far() -> None:
    hub = Hub()
    live = hub.take(TENANT, RUN)
    live.delta("Refunds ")
    live.delta("take ")
    with hub.follow(TENANT, RUN) as (_, follower):
        live.delta("five days.")
        assert await follower.take(1) == [Snapshot("Refunds take "), Delta("five days.")]
