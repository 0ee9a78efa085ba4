"""Authorization codes and refresh tokens: in memory, each good for one use."""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from core import Clock
from emulators.identity.issuing import SignedIn
from emulators.identity.oauth import OAuthError, matches_challenge

_CODE_LIFETIME = timedelta(seconds=60)
_REFRESH_LIFETIME = timedelta(days=1)
_MAX_HELD = 10_000


@dataclass(frozen=True, slots=True)
class _Code:
    person: SignedIn
    redirect_uri: str
    challenge: str
    expires: datetime
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Refresh:
    person: SignedIn
    family: str
    expires: datetime
    used: bool = False


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Who is signed in; `family` joins all refresh tokens that come from one code."""

    person: SignedIn
    family: str


class Grants:
    """Hands out codes and refresh tokens and takes each back once. Using one twice revokes all that came of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codes: OrderedDict[str, _Code] = OrderedDict()
        self._refresh: OrderedDict[str, _Refresh] = OrderedDict()

    def code(self, person: SignedIn, *, redirect_uri: str, challenge: str) -> str:
        """Return a code that is good for 60 seconds."""
        code = secrets.token_urlsafe(32)
        expires = self._clock.now() + _CODE_LIFETIME
        self._codes[_hash(code)] = _Code(person, redirect_uri, challenge, expires)
        _trim(self._codes)
        return code

    def redeem_code(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Redeemed:
        """Return who signed in. The code is spent even if the rest does not fit.

        Raises:
            OAuthError: `invalid_grant`.
        """
        family = _hash(code)
        held = self._codes.get(family)
        if held is None:
            raise _invalid("The code is not known.")
        if held.used:
            self._revoke(family)
            raise _invalid("The code was used before.")
        self._codes[family] = _Code(held.person, held.redirect_uri, held.challenge, held.expires, used=True)
        if self._clock.now() > held.expires:
            raise _invalid("The code has expired.")
        if (client_id, redirect_uri) != (held.person.client_id, held.redirect_uri):
            raise _invalid("The code is for another client or redirect URI.")
        if not matches_challenge(verifier, held.challenge):
            raise _invalid("The code verifier does not match the code challenge.")
        return Redeemed(held.person, family)

    def refresh_token(self, redeemed: Redeemed) -> str:
        """Return a refresh token that is good for a day."""
        token = secrets.token_urlsafe(48)
        expires = self._clock.now() + _REFRESH_LIFETIME
        self._refresh[_hash(token)] = _Refresh(redeemed.person, redeemed.family, expires)
        _trim(self._refresh)
        return token

    def redeem_refresh(self, token: str, *, client_id: str) -> Redeemed:
        """Return who is signed in.

        Raises:
            OAuthError: `invalid_grant`.
        """
        key = _hash(token)
        held = self._refresh.get(key)
        if held is None or held.person.client_id != client_id or self._clock.now() > held.expires:
            raise _invalid("The refresh token is not known, is for another client, or has expired.")
        if held.used:
            self._revoke(held.family)
            raise _invalid("The refresh token was used before.")
        self._refresh[key] = _Refresh(held.person, held.family, held.expires, used=True)
        return Redeemed(held.person, held.family)

    def _revoke(self, family: str) -> None:
        for key in [key for key, held in self._refresh.items() if held.family == family]:
            del self._refresh[key]


def _trim(held: "OrderedDict[str, _Code] | OrderedDict[str, _Refresh]") -> None:
    while len(held) > _MAX_HELD:
        held.popitem(last=False)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_grant", description)
