"""Signing by a key in Key Vault: Microsoft's own SDK against a strict stand-in over HTTPS, by token."""

import ssl
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.core.pipeline.transport import AioHttpTransport
from azure_stand_ins import VAULT_KEY_VERSION, VAULT_TOKEN, Vault
from cosmos_emulated import AnyToken
from evidence_world import Vouched

from core.errors import Defect, Unavailable
from data import Store
from data.notary.azure import open_signer
from data.notary.local import public_of
from emulators.authority import LocalAuthority
from mandate.notaries import open_notary
from mandate.settings import Settings
from orchestration import Checkpointer

VAULT = "https://mandate.vault.azure.net"
KEY = f"{VAULT}/keys/evidence/{VAULT_KEY_VERSION}"


class Led(AioHttpTransport):
    """Leads what is for the vault to the stand-in; the SDK knows the vault's own address only."""

    url: str
    ca_file: str

    async def send(self, request: Any, **config: Any) -> Any:
        asked: str = request.url
        assert asked.startswith(VAULT)
        request.url = asked.replace(VAULT, self.url)
        try:
            parent: Any = super()
            return await parent.send(request, **{**config, "connection_verify": self.ca_file})
        finally:
            request.url = asked


def led(url: str, ca_file: Path) -> Led:
    transport = Led()
    transport.url, transport.ca_file = url, str(ca_file)
    return transport


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncGenerator[tuple[Vault, Led]]:
    authority = LocalAuthority.open(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(["127.0.0.1"]))
    stand_in, app = Vault(), web.Application()
    app.router.add_route("*", "/{path:.*}", stand_in.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield stand_in, led(f"https://{host}:{port}", authority.ca_file)
    finally:
        await runner.cleanup()


async def test_checkpoints_are_signed_by_a_key_that_never_leaves_the_vault(
    vault: tuple[Vault, Led], store: Store, tmp_path: Path
) -> None:
    stand_in, transport = vault
    ours = Vouched.over(store, tmp_path)
    await ours.append()
    async with open_signer(KEY, AnyToken(VAULT_TOKEN), transport) as signer:
        await Checkpointer(store, signer, ours.anchor, ours.clock, timedelta(minutes=10)).make()
        assert await signer.key() == public_of(stand_in.key)
    assert await ours.findings() == []
    assert [kept.signed.kid for kept in await ours.kept()] == [public_of(stand_in.key).kid]
    assert f"POST /keys/evidence/{VAULT_KEY_VERSION}/sign" in stand_in.asked
    assert not (tmp_path / "key.pem").exists()


async def test_a_vault_that_is_away_or_has_another_kind_of_key_is_said_to_be(vault: tuple[Vault, Led]) -> None:
    stand_in, transport = vault
    async with open_signer(KEY, AnyToken(VAULT_TOKEN), transport) as signer:
        stand_in.curve = "P-384"
        with pytest.raises(Defect) as refused:
            await signer.key()
        assert refused.value.code == "defect.settings"
        stand_in.away = True
        with pytest.raises(Unavailable) as missed:
            await signer.sign(b"this")
        assert missed.value.code == "dependency.signer"


@pytest.mark.parametrize(
    "url",
    [f"{VAULT}/keys/evidence", VAULT, f"http://mandate.vault.azure.net/keys/evidence/{VAULT_KEY_VERSION}", "no url"],
)
async def test_only_a_version_of_a_key_over_https_is_taken(url: str) -> None:
    with pytest.raises(Defect):
        async with open_signer(url, AnyToken(VAULT_TOKEN)):
            pass


@pytest.mark.parametrize(
    ("environment", "key", "anchor"),
    [
        ("prod", "key.pem", "anchors"),
        ("local", "key.pem", "https://mandate.blob.core.windows.net/anchors"),
        ("prod", KEY, "anchors"),
        ("prod", "", ""),
    ],
)
async def test_files_vouch_on_a_laptop_only(environment: Any, key: str, anchor: str) -> None:
    settings = Settings(environment=environment, evidence_key=key, evidence_anchor=anchor)
    with pytest.raises(Defect) as refused:
        async with open_notary(settings, "nobody"):
            pass
    assert refused.value.code == "defect.settings"
