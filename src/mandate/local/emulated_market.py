"""The marketplace's emulator as a laptop has it: who buys, who sells, and whom it believes."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
from starlette.types import ASGIApp

from core import SystemClock
from core.errors import Forbidden
from emulators import identity, marketplace
from mandate.services import local_client_id
from mandate.settings import Settings
from web import AzureServiceTokens, TokenValidator

ARM = "https://management.azure.com"
MARKETPLACE = "20e940b3-4c77-4b0b-9a53-9e16a1b010a7"
"""The marketplace's own application in Entra: what its API's tokens are for, and who sends webhooks."""

OFFER = Path("environments/local/marketplace.yaml")


def buyers(settings: Settings) -> list[identity.DirectoryTenant]:
    """Return those who can buy and are no tenants yet; nobody gave them roles in an app that they do not have."""
    return [
        identity.DirectoryTenant(
            organisation.tid,
            organisation.name,
            [
                identity.DirectoryUser(user.username, user.name, user.object_id, puid=user.puid)
                for user in organisation.users
            ],
        )
        for organisation in marketplace.load_catalogue(settings.root / OFFER).buyers
    ]


def publishers(settings: Settings) -> list[identity.DirectoryUser]:
    """Return the publisher's own people, in whose tenant the offer's application is."""
    people = marketplace.load_catalogue(settings.root / OFFER).publishers
    return [identity.DirectoryUser(one.username, one.name, one.object_id, one.roles) for one in people]


def seller_identity(settings: Settings) -> identity.ServiceIdentity:
    """Return the marketplace as a caller of the publisher's webhook."""
    object_id = str(uuid.uuid5(uuid.UUID(MARKETPLACE), "object"))
    return identity.ServiceIdentity(MARKETPLACE, object_id, "marketplace", {settings.marketplace_client_id: ()})


@asynccontextmanager
async def marketplace_app(settings: Settings, folder: Path) -> AsyncGenerator[ASGIApp]:
    tokens = AzureServiceTokens(MARKETPLACE)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        validator, readers = (_validator(settings, audience, session) for audience in (MARKETPLACE, ARM))

        async def authorize(token: str) -> None:
            verified = await validator.verify(token)
            if (verified.tenant_id, verified.app_id) != (settings.marketplace_tenant, settings.marketplace_client_id):
                raise Forbidden("This is not the application that the offer names.", code="access.not_a_peer")

        async def reads(token: str) -> None:
            if (await readers.verify(token)).app_id != local_client_id("control"):
                raise Forbidden("The offer lets nobody else read its applications.", code="access.not_a_peer")

        secret = quote(settings.applications_secret, safe="")
        yield marketplace.create_app(
            reads=reads,
            applications=f"{settings.public_url}/v1/marketplace/applications?sig={secret}",
            authorize=authorize,
            catalogue=marketplace.load_catalogue(settings.root / OFFER),
            folder=folder / "marketplace",
            webhook=f"{settings.public_url}/v1/marketplace/webhook",
            landing=f"{settings.public_url}/marketplace",
            token=lambda: tokens.token(f"{settings.marketplace_client_id}/.default"),
            session=session,
        )
        await tokens.aclose()


def _validator(settings: Settings, audience: str, session: aiohttp.ClientSession) -> TokenValidator:
    return TokenValidator(
        issuer_template=settings.identity_issuer,
        jwks_uri=settings.identity_jwks,
        audience=audience,
        session=session,
        clock=SystemClock(),
    )
