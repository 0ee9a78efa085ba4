"""What a stamp has around its services in Azure, on this machine: emulators, stand-ins, and the platform itself."""

import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import azurite_live
from aiohttp import web
from azure.storage.blob.aio import ContainerClient
from azure_stand_ins import (
    INSIGHTS_TOKEN,
    INSTRUMENTATION,
    VAULT_TOKEN,
    Insights,
    Shields,
    Vault,
)
from cosmos_emulated import AnyToken

from core.errors import Forbidden
from emulators.app_configuration import Store
from emulators.authority import LocalAuthority
from identity_live import serving

VAULT = Vault(domain="vault.invalid")
VAULT_HOST = "mandate.vault.invalid"
"""Its SDK wants a vault under a name, at the usual port: here one that only an /etc/hosts of ours knows."""

CONFIGURATION_TOKEN = "let me configure"


async def reader(token: str, method: str) -> None:
    """Let services read the store of values, which has none here: those of the image complete it."""
    if (token, method) != (CONFIGURATION_TOKEN, "GET"):
        raise Forbidden("This token may only read.")


def named() -> bool:
    """Return whether this network is one of our own, in which the vault has its name."""
    return VAULT_HOST in Path("/etc/hosts").read_text()


@dataclass
class Platform:
    """Gives services the tokens of their identities: those for emulators from the one of Entra, the rest itself."""

    identity: str
    insights: Insights = field(default_factory=Insights)
    shields: Shields = field(default_factory=lambda: Shields(lets_in=lambda token: token.count(".") == 2))

    async def token(self, request: web.Request) -> web.Response:
        resource = request.query.get("resource", "").rstrip("/")
        own = {
            "https://vault.invalid": VAULT_TOKEN,
            "https://appconfig.azure.com": CONFIGURATION_TOKEN,
            "https://monitor.azure.com": INSIGHTS_TOKEN,
            "https://storage.azure.com": azurite_live.made_up_token(),
        }
        if resource in own:
            told = {"access_token": own[resource], "expires_on": "4102444800", "token_type": "Bearer"}
            return web.json_response({**told, "resource": resource})
        headers = {"X-IDENTITY-HEADER": request.headers.get("X-IDENTITY-HEADER", "")}
        url = f"{self.identity}/msi/token"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, params=request.query, headers=headers) as answer,
        ):
            return web.json_response(await answer.json(), status=answer.status)


@asynccontextmanager
async def around(folder: Path, azurite: Path, identity: str) -> AsyncGenerator[tuple[Platform, Mapping[str, str]]]:
    """Run what there is no emulator process for, and give the platform and the settings that lead to it.

    Args:
        folder: for certificates and data.
        azurite: where it is installed.
        identity: address of the identity provider.
    """
    platform, authority = Platform(identity), LocalAuthority.open(folder / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(["127.0.0.1", VAULT_HOST]))
    app = web.Application(client_max_size=10**7)
    app.router.add_get("/msi/token", platform.token)
    app.router.add_post("/v2.1/track", platform.insights.track)
    app.router.add_route("*", "/contentsafety/{path:.*}", platform.shields.handle)
    app.router.add_route("*", "/keys/{path:.*}", VAULT.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    async with AsyncExitStack() as stack:
        values = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        configuration = f"https://127.0.0.1:{values.getsockname()[1]}"
        await stack.enter_async_context(serving(Store(authorize=reader), values, authority.issue(["127.0.0.1"])[0]))
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await web.TCPSite(runner, "127.0.0.1", 443 if named() else 0, ssl_context=context).start()
        plain, encrypted = (address[1] for address in runner.addresses)
        blobs = await stack.enter_async_context(azurite_live.running(azurite, folder / "azurite", authority))
        await _containers(blobs, authority)
        yield (
            platform,
            {
                "IDENTITY_ENDPOINT": f"http://127.0.0.1:{plain}/msi/token",
                "MANDATE_CONFIGURATION": configuration,
                "MANDATE_BLOBS": blobs,
                "MANDATE_ERASURE_JOURNAL": f"{blobs}/erasures",
                "MANDATE_EVIDENCE_ANCHOR": f"{blobs}/anchors",
                "MANDATE_EVIDENCE_KEY": VAULT.key_id,
                "MANDATE_CONTENT_SAFETY_ENDPOINT": f"https://127.0.0.1:{encrypted}/",
                "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                    f"InstrumentationKey={INSTRUMENTATION};IngestionEndpoint=https://127.0.0.1:{encrypted}"
                ),
            },
        )


async def _containers(blobs: str, authority: LocalAuthority) -> None:
    """Make what the template makes in Azure: roles on data may not."""
    token = AnyToken(azurite_live.made_up_token())
    for name in ("content", "anchors", "erasures"):
        async with ContainerClient(blobs, name, token, connection_verify=str(authority.ca_file)) as container:
            await container.create_container()
