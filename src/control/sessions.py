"""Sessions of the console: records that all processes share, found by a cookie that the store does not know.

The cookie is `<place>.<secret>`. The place leads to a person's sessions; the secret is random, and everything else
follows from it: its hash is the rest of the record's key, one key derived from it seals the tokens, another is the CSRF
token. Who reads the store can neither use a session nor read the tokens of one.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control import contexts
from control.records import SessionRecord
from core import Clock, PrincipalId, TenantContext, derived_id, parse_timestamp, timestamp
from core.errors import PreconditionFailed, Unauthenticated, Unavailable
from data import Records, Store, Versioned
from web import Tokens

IDLE = timedelta(hours=2)
"""A session that nobody uses for so long has ended."""

LONGEST = timedelta(hours=12)
"""After so long a person signs in again, however busy they are."""

MOST = 20
"""Sessions of one person; a further sign-in ends the oldest."""

_SEEN_EVERY = timedelta(minutes=1)
_RENEW_BEFORE = timedelta(minutes=1)
_RENEWAL = timedelta(seconds=20)
_NONCE_BYTES = 12
_COOKIE = re.compile(r"(ses_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})")


class Provider(Protocol):
    async def renew(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token; `Unauthenticated` where that is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """A session in use.

    Attributes:
        key: of its record.
        csrf: what every unsafe request of its pages has to carry.
    """

    key: str
    csrf: str
    access_token: str


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as its owner sees it in a list; times are timestamps."""

    key: str
    browser: str
    began: str
    seen: str


class Sessions:
    """Begins, finds and ends sessions. `provider` renews tokens that have expired."""

    def __init__(self, store: Store, clock: Clock, provider: Provider) -> None:
        self._store = store
        self._clock = clock
        self._provider = provider

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("sessions")).records

    async def begin(self, context: TenantContext, tokens: Tokens, *, browser: str, instead_of: str = "") -> str:
        """Begin a session, and return its cookie. The session of the cookie `instead_of` ends, if there is one."""
        await self.end(instead_of)
        await self._make_room(context)
        place, secret = _place(context.tenant, context.principal.id), secrets.token_urlsafe(32)
        key, now = _key(place, secret), timestamp(self._clock.now())
        record = SessionRecord(
            tenant=context.tenant,
            principal=context.principal.id,
            sealed=_seal(tokens, secret, key),
            access_until=self._until(tokens),
            began=now,
            seen=now,
            browser=browser,
        )
        await self._records.put(key, record, etag=None)
        return f"{place}.{secret}"

    async def find(self, cookie: str) -> Session:
        """Return the session that a cookie belongs to, with an access token that is still good.

        Raises:
            Unauthenticated: it has ended, was never there, or the identity provider no longer confirms it
                (`identity.session`).
            Unavailable: the identity provider does not answer.
        """
        match = _COOKIE.fullmatch(cookie)
        if match is None:
            raise _ended()
        secret, key = match[2], _key(match[1], match[2])
        found = await self._alive(key)
        if self._must_renew(found.value):
            found = await self._renewed(found, secret)
        await self._note_seen(found)
        return Session(key, csrf_token(cookie), _unseal(found.value, secret, key).access_token)

    async def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        if match := _COOKIE.fullmatch(cookie):
            await self._delete(_key(match[1], match[2]))

    async def end_all(self, context: TenantContext) -> None:
        """End all sessions of a person, in every browser."""
        async for found in self._of(_place(context.tenant, context.principal.id)):
            await self._delete(found.key)

    async def list(self, context: TenantContext) -> Sequence[SessionLine]:
        """Return a person's sessions, the one used last first."""
        place = _place(context.tenant, context.principal.id)
        lines = [
            SessionLine(found.key, found.value.browser, found.value.began, found.value.seen)
            async for found in self._of(place)
            if not self._has_ended(found.value)
        ]
        return sorted(lines, key=lambda line: line.seen, reverse=True)

    async def delete_ended(self) -> None:
        """Delete the records of sessions whose time is up."""
        async for found in self._of(""):
            if self._has_ended(found.value):
                await self._delete(found.key)

    async def _alive(self, key: str) -> Versioned[SessionRecord]:
        found = await self._records.get(SessionRecord, key)
        if found is None:
            raise _ended()
        if self._has_ended(found.value):
            await self._delete(key)
            raise _ended()
        return found

    def _has_ended(self, record: SessionRecord) -> bool:
        now = self._clock.now()
        return now >= parse_timestamp(record.seen) + IDLE or now >= parse_timestamp(record.began) + LONGEST

    def _until(self, tokens: Tokens) -> str:
        return timestamp(self._clock.now() + timedelta(seconds=tokens.expires_in))

    def _must_renew(self, record: SessionRecord) -> bool:
        return self._clock.now() >= parse_timestamp(record.access_until) - _RENEW_BEFORE

    async def _renewed(self, found: Versioned[SessionRecord], secret: str) -> Versioned[SessionRecord]:
        """Exchange the refresh token: one request of all processes does it, since it is good once; others wait."""
        try:
            async with asyncio.timeout(_RENEWAL.total_seconds()):
                while self._must_renew(found.value):
                    claimed = await self._claim(found)
                    if claimed:
                        return await self._exchange(claimed, secret)
                    await asyncio.sleep(0.05)
                    found = await self._alive(found.key)
        except TimeoutError:
            raise Unavailable("Your session cannot be renewed now. Try again shortly.", retry_after=5) from None
        return found

    async def _claim(self, found: Versioned[SessionRecord]) -> Versioned[SessionRecord] | None:
        now = self._clock.now()
        if found.value.renewing_until and parse_timestamp(found.value.renewing_until) > now:
            return None
        record = found.value.model_copy(update={"renewing_until": timestamp(now + _RENEWAL)})
        return await self._put(found, record)

    async def _exchange(self, found: Versioned[SessionRecord], secret: str) -> Versioned[SessionRecord]:
        old = _unseal(found.value, secret, found.key)
        try:
            tokens = await self._provider.renew(old.refresh_token)
        except Unauthenticated:
            await self._delete(found.key)
            raise _ended() from None
        except Unavailable:
            await self._put(found, found.value.model_copy(update={"renewing_until": ""}))
            raise
        record = found.value.model_copy(
            update={
                "sealed": _seal(tokens, secret, found.key),
                "access_until": self._until(tokens),
                "renewing_until": "",
            }
        )
        renewed = await self._put(found, record)
        if renewed is None:
            raise _ended()  # signed out meanwhile
        return renewed

    async def _note_seen(self, found: Versioned[SessionRecord]) -> None:
        now = self._clock.now()
        if now - parse_timestamp(found.value.seen) >= _SEEN_EVERY:
            await self._put(found, found.value.model_copy(update={"seen": timestamp(now)}))

    async def _put(self, found: Versioned[SessionRecord], record: SessionRecord) -> Versioned[SessionRecord] | None:
        """Return the record as it is now; None where somebody else changed it first."""
        try:
            return Versioned(found.key, record, await self._records.put(found.key, record, etag=found.etag))
        except PreconditionFailed:
            return None

    async def _delete(self, key: str) -> None:
        """Delete a session, also where another request changes it at the same time."""
        while (found := await self._records.get(SessionRecord, key)) is not None:
            with suppress(PreconditionFailed):
                await self._records.delete(SessionRecord, key, etag=found.etag)

    async def _make_room(self, context: TenantContext) -> None:
        place = _place(context.tenant, context.principal.id)
        held = [found async for found in self._of(place)]
        alive = sorted((f for f in held if not self._has_ended(f.value)), key=lambda f: f.value.began)
        kept = {found.key for found in alive[max(0, len(alive) - MOST + 1) :]}
        for found in held:
            if found.key not in kept:
                await self._delete(found.key)

    async def _of(self, place: str) -> AsyncIterator[Versioned[SessionRecord]]:
        cursor = None
        while True:
            page = await self._records.list(SessionRecord, prefix=place, cursor=cursor)
            for found in page.items:
                yield found
            cursor = page.cursor
            if cursor is None:
                return


def csrf_token(cookie: str) -> str:
    """Return what the pages of a cookie's session send along to show that they are its own."""
    return urlsafe_b64encode(hmac.digest(cookie.encode(), b"csrf", "sha256")).decode().rstrip("=")


def _ended() -> Unauthenticated:
    return Unauthenticated("Your session has ended. Sign in again.", code="identity.session")


def _place(tenant: str, principal: PrincipalId) -> str:
    return derived_id("ses", tenant, principal)


def _key(place: str, secret: str) -> str:
    return f"{place}/{hashlib.sha256(secret.encode()).hexdigest()}"


def _cipher(secret: str) -> AESGCM:
    return AESGCM(hmac.digest(secret.encode(), b"tokens", "sha256"))


def _seal(tokens: Tokens, secret: str, key: str) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    kept = tokens.model_dump_json(exclude={"id_token"}).encode()
    return b64encode(nonce + _cipher(secret).encrypt(nonce, kept, key.encode())).decode()


def _unseal(record: SessionRecord, secret: str, key: str) -> Tokens:
    raw = b64decode(record.sealed)
    return Tokens.model_validate_json(_cipher(secret).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], key.encode()))
