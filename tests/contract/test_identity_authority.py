"""The local certificate authority: made once, private, and good for real HTTPS."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import Defect
from emulators import authority
from emulators.authority import LocalAuthority


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    return tmp_path / "tls"


async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await writer.drain()
    writer.close()


async def hello_from(local: LocalAuthority, host: str, trusted: Path) -> bytes:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(*local.issue(["127.0.0.1", "localhost"]))
    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=served)
    port = server.sockets[0].getsockname()[1]
    trust = ssl.create_default_context(cafile=str(trusted))
    async with asyncio.timeout(5), server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=host)
        said = await reader.read()
        writer.close()
        return said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_client_that_trusts_it_can_talk_to_a_server(folder: Path, host: str) -> None:
    local = LocalAuthority.open(folder)
    assert await hello_from(local, host, local.ca_file) == b"hello"


async def test_other_names_and_other_authorities_are_not_trusted(folder: Path, tmp_path: Path) -> None:
    local, other = LocalAuthority.open(folder), LocalAuthority.open(tmp_path / "other")
    for host, trusted in (("example.com", local.ca_file), ("localhost", other.ca_file)):
        with pytest.raises(ssl.SSLCertVerificationError):
            await hello_from(local, host, trusted)


def test_it_is_found_again_and_so_are_its_certificates(folder: Path) -> None:
    first = LocalAuthority.open(folder)
    made, trusted = first.issue(["localhost"])[0].read_bytes(), first.ca_file.read_bytes()
    again = LocalAuthority.open(folder)
    assert again.ca_file.read_bytes() == trusted
    assert again.issue(["localhost"])[0].read_bytes() == made
    assert again.issue(["localhost", "127.0.0.1"])[0].read_bytes() != made


def test_a_certificate_is_made_anew_near_its_end_or_after_a_new_authority(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = LocalAuthority.open(folder)
    made = local.issue(["localhost"])[0].read_bytes()
    (folder / "authority.pem").unlink()
    renewed = LocalAuthority.open(folder).issue(["localhost"])[0].read_bytes()
    assert renewed != made
    monkeypatch.setattr(authority, "_RENEW_BEFORE", timedelta(days=91))
    assert LocalAuthority.open(folder).issue(["localhost"])[0].read_bytes() != renewed


def test_nobody_else_can_read_it(folder: Path) -> None:
    LocalAuthority.open(folder).issue(["localhost"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


async def test_processes_that_start_together_agree(folder: Path) -> None:
    opened = await asyncio.gather(*(asyncio.to_thread(LocalAuthority.open, folder) for _ in range(4)))
    for local in opened:
        assert await hello_from(local, "localhost", folder / "ca.pem") == b"hello"


def test_it_refuses_to_start_anywhere_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "prod")
    with pytest.raises(Defect):
        LocalAuthority.open(folder)
    assert not folder.exists()
