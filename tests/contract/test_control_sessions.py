"""Sessions of the console on a real store: who finds one, who renews it, and when it ends."""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from clocks import MovableClock
from control import SessionRecord, Sessions, TenantRecord, contexts, csrf_token
from control.sessions import IDLE, LONGEST, MOST
from core import PrincipalId, TenantContext, TenantId, derived_id, new_id
from core.errors import Unauthenticated, Unavailable
from data import Store
from web import Tokens

HOUR = timedelta(hours=1)


START = datetime(2026, 11, 24, 8, tzinfo=UTC)


@dataclass
class Provider:
    """An identity provider that takes each refresh token once, as Entra may."""

    error: Exception | None = None
    renewed: list[str] = field(default_factory=list[str])

    async def renew(self, refresh_token: str) -> Tokens:
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        assert refresh_token not in self.renewed, "a refresh token was used twice"
        self.renewed.append(refresh_token)
        return tokens(len(self.renewed) + 1)


def tokens(number: int) -> Tokens:
    return Tokens(access_token=f"access-{number}", refresh_token=f"refresh-{number}", expires_in=3600)


def somebody(tenant: str = "a") -> TenantContext:
    record = TenantRecord(id=TenantId(derived_id("ten", tenant)), name=tenant, plan="team", region="local")
    return contexts.from_directory(record, PrincipalId(new_id("prn")), roles=[], groups=[], correlation="c")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def sessions(store: Store, clock: MovableClock, provider: Provider) -> Sessions:
    return Sessions(store, clock, provider)


async def ended(sessions: Sessions, cookie: str) -> bool:
    try:
        await sessions.find(cookie)
    except Unauthenticated as error:
        return error.code == "identity.session"
    return False


async def test_every_process_finds_a_session(
    sessions: Sessions, neighbour: Store, clock: MovableClock, provider: Provider
) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="Firefox, Linux")
    found = await Sessions(neighbour, clock, provider).find(cookie)
    assert (found.access_token, found.csrf) == ("access-1", csrf_token(cookie))


async def test_the_store_holds_neither_cookie_nor_tokens(store: Store, sessions: Sessions) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="Firefox, Linux")
    page = await store.tenant(contexts.publisher("test")).records.list(SessionRecord)
    held = page.items[0].key + page.items[0].value.model_dump_json()
    for secret in (cookie, cookie.partition(".")[2], csrf_token(cookie), "access-1", "refresh-1"):
        assert secret not in held


async def test_a_cookie_that_is_not_exactly_ours_finds_nothing(sessions: Sessions) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="")
    place, _, secret = cookie.partition(".")
    other = await sessions.begin(somebody(), tokens(1), browser="")
    for wrong in (
        "",
        "x",
        place,
        f"{place}.",
        cookie[:-1],
        cookie + "A",
        f"{other.partition('.')[0]}.{secret}",
        "é" * 70,
    ):
        assert await ended(sessions, wrong), wrong
    assert not await ended(sessions, cookie)


async def test_a_session_that_nobody_uses_ends_and_one_that_is_used_ends_too(
    sessions: Sessions, clock: MovableClock
) -> None:
    idle = await sessions.begin(somebody(), tokens(1), browser="")
    busy = await sessions.begin(somebody(), tokens(1), browser="")
    began = clock.time
    clock.time += IDLE - timedelta(minutes=1)
    assert not await ended(sessions, busy)
    clock.time += timedelta(minutes=1)
    assert await ended(sessions, idle)
    while clock.time + HOUR < began + LONGEST:
        clock.time += HOUR
        assert not await ended(sessions, busy)
    clock.time = began + LONGEST
    assert await ended(sessions, busy)


async def test_an_access_token_that_has_expired_is_renewed_once_however_many_ask(
    sessions: Sessions, neighbour: Store, clock: MovableClock, provider: Provider
) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="")
    clock.time += HOUR
    other = Sessions(neighbour, clock, provider)
    found = await asyncio.gather(*(who.find(cookie) for who in (sessions, other) * 5))
    assert {session.access_token for session in found} == {"access-2"}
    assert provider.renewed == ["refresh-1"]
    clock.time += HOUR
    assert (await sessions.find(cookie)).access_token == "access-3"


async def test_a_renewal_that_is_refused_ends_the_session(
    sessions: Sessions, clock: MovableClock, provider: Provider
) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="")
    clock.time += HOUR
    provider.error = Unauthenticated("Not any more.", code="identity.refused")
    assert await ended(sessions, cookie)
    provider.error = None
    assert await ended(sessions, cookie)
    assert provider.renewed == []


async def test_a_provider_that_does_not_answer_ends_nothing(
    sessions: Sessions, clock: MovableClock, provider: Provider
) -> None:
    cookie = await sessions.begin(somebody(), tokens(1), browser="")
    clock.time += HOUR
    provider.error = Unavailable("It does not answer.")
    with pytest.raises(Unavailable):
        await sessions.find(cookie)
    provider.error = None
    assert (await sessions.find(cookie)).access_token == "access-2"


async def test_a_new_sign_in_ends_the_session_before_it(sessions: Sessions) -> None:
    me = somebody()
    first = await sessions.begin(me, tokens(1), browser="")
    second = await sessions.begin(me, tokens(1), browser="", instead_of=first)
    assert first != second
    assert await ended(sessions, first)
    assert not await ended(sessions, second)


async def test_signing_out_ends_one_session_and_everywhere_all_of_ones_own(sessions: Sessions) -> None:
    me, colleague = somebody(), somebody()
    mine = [await sessions.begin(me, tokens(1), browser="") for _ in range(3)]
    theirs = await sessions.begin(colleague, tokens(1), browser="")
    await sessions.end(mine[0])
    assert [await ended(sessions, cookie) for cookie in mine] == [True, False, False]
    await sessions.end_all(me)
    assert [await ended(sessions, cookie) for cookie in mine] == [True, True, True]
    assert not await ended(sessions, theirs)


async def test_somebody_sees_their_own_sessions_the_last_used_first(sessions: Sessions, clock: MovableClock) -> None:
    me = somebody()
    first = await sessions.begin(me, tokens(1), browser="Firefox, Linux")
    clock.time += timedelta(minutes=5)
    await sessions.begin(me, tokens(1), browser="Safari, iPhone")
    await sessions.begin(somebody(), tokens(1), browser="Edge, Windows")
    assert [line.browser for line in await sessions.list(me)] == ["Safari, iPhone", "Firefox, Linux"]
    clock.time += timedelta(minutes=5)
    await sessions.find(first)
    assert [line.browser for line in await sessions.list(me)] == ["Firefox, Linux", "Safari, iPhone"]
    assert all(re.fullmatch(r"2026-11-24T08:\d\d:00\.000Z", line.seen) for line in await sessions.list(me))


async def test_one_person_cannot_fill_the_store(sessions: Sessions, clock: MovableClock) -> None:
    me = somebody()
    cookies: list[str] = []
    for _ in range(MOST + 3):
        cookies.append(await sessions.begin(me, tokens(1), browser=""))
        clock.time += timedelta(seconds=1)
    assert [await ended(sessions, cookie) for cookie in cookies] == [True] * 3 + [False] * MOST


async def test_what_has_ended_is_cleared_away(store: Store, sessions: Sessions, clock: MovableClock) -> None:
    await sessions.begin(somebody(), tokens(1), browser="")
    clock.time += IDLE
    kept = await sessions.begin(somebody(), tokens(1), browser="")
    await sessions.delete_ended()
    page = await store.tenant(contexts.publisher("test")).records.list(SessionRecord)
    assert len(page.items) == 1
    assert not await ended(sessions, kept)
