"""A service token is fetched once for everybody, in good time, and kept through an outage of the provider."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from core.errors import Unavailable
from web import AzureServiceTokens

SCOPE = "api://inner/.default"


@dataclass
class Provider:
    """Stands for the credential: counts what it is asked for, and answers for as long as it is up."""

    lifetime: float = 3600
    up: bool = True
    opened: int = 0
    asked: list[str] = field(default_factory=list[str])

    def open(self, _client_id: str | None) -> "Provider":
        self.opened += 1
        return self

    async def get_token(self, scope: str) -> AccessToken:
        self.asked.append(scope)
        await asyncio.sleep(0)
        if not self.up:
            raise ClientAuthenticationError("down")
        return AccessToken(f"{scope} {len(self.asked)}", int(time.time() + self.lifetime))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    provider = Provider()
    monkeypatch.setattr("web.service_tokens.make_credential", provider.open)
    return provider


async def test_many_callers_cost_one_request_per_scope(provider: Provider) -> None:
    tokens = AzureServiceTokens("edge")
    answers = await asyncio.gather(*(tokens.token(scope) for scope in (SCOPE, "other", SCOPE, "other")))
    assert answers[0] == answers[2] == await tokens.token(SCOPE)
    assert answers[1] == answers[3] != answers[0]
    assert sorted(provider.asked) == [SCOPE, "other"]
    assert provider.opened == 1


async def test_a_token_is_renewed_five_minutes_before_its_end(provider: Provider) -> None:
    tokens = AzureServiceTokens("edge")
    provider.lifetime = 299
    first = await tokens.token(SCOPE)
    renewed = await asyncio.gather(*(tokens.token(SCOPE) for _ in range(3)))
    assert len({first, *renewed}) == 2
    assert len(provider.asked) == 2


async def test_an_outage_does_not_take_away_a_token_that_is_still_good(provider: Provider) -> None:
    tokens = AzureServiceTokens("edge")
    provider.lifetime = 200
    first = await tokens.token(SCOPE)
    provider.up = False
    assert await tokens.token(SCOPE) == first


@pytest.mark.parametrize("lifetime", [None, -1])
async def test_without_a_good_token_the_caller_is_told(provider: Provider, lifetime: float | None) -> None:
    tokens = AzureServiceTokens("edge")
    if lifetime is not None:
        provider.lifetime = lifetime
        await tokens.token(SCOPE)
    provider.up = False
    with pytest.raises(Unavailable) as caught:
        await tokens.token(SCOPE)
    assert caught.value.code == "dependency.identity"
