"""A sign-in whose two tokens are of people in two organisations, who happen to have the same object id."""

# pyright: reportPrivateUsage=false
# (the one function that sees both tokens)

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from fastapi import Request

from core import SystemClock
from core.errors import Unauthenticated
from interaction.console.pages import sign_in
from web import Attempt, Tokens, VerifiedToken

OID = "aaaaaaaa-0000-4000-8000-000000000001"


class Proved:
    """Stands for two validators of one provider: no provider would give such a pair, so only this can."""

    def __init__(self, tid: str) -> None:
        self._tid = tid

    async def verify_sign_in(self, id_token: str, nonce: str) -> tuple[str, str]:
        return self._tid, OID

    async def verify(self, token: str) -> VerifiedToken:
        return VerifiedToken(self._tid, OID, "a", "c", frozenset(), frozenset(), "Ann", "ann", 0, 0, is_app=False)


class Resolved(Exception):
    pass


def directory(_: object, *, correlation: str) -> Any:
    raise Resolved


async def began(tid_of_person: str, tid_of_access: str) -> None:
    deps = SimpleNamespace(
        sign_ins=Proved(tid_of_person), validator=Proved(tid_of_access), directory=SimpleNamespace(resolve=directory)
    )
    request = Request({"type": "http", "headers": [], "state": {}})
    tokens = Tokens(access_token="a", id_token="i", expires_in=1)
    await sign_in._session(request, cast("Any", deps), tokens, Attempt("s", "n", "v"))


async def test_tokens_of_two_organisations_begin_no_session() -> None:
    with pytest.raises(Resolved):
        await began("tid-a", "tid-a")
    with pytest.raises(Unauthenticated):
        await began("tid-a", "tid-b")


async def test_who_lands_is_named_with_the_organisation_that_their_tokens_name() -> None:
    arrivals: list[Any] = []

    async def call(*_: object, body: bytes, **__: object) -> bytes:
        arrivals.append(orjson.loads(body))
        return b'{"secret": "s"}'

    for tid in ("tid-a", "tid-b"):
        deps = SimpleNamespace(
            sign_ins=Proved(tid), validator=Proved(tid), control=SimpleNamespace(call=call), clock=SystemClock()
        )
        request = Request({"type": "http", "headers": [], "state": {}})
        tokens = Tokens(access_token="a", id_token="i", expires_in=1)
        await sign_in._landing(request, cast("Any", deps), tokens, Attempt("s", "n", "v"))
    assert [(arrival["tid"], arrival["oid"]) for arrival in arrivals] == [("tid-a", OID), ("tid-b", OID)]
