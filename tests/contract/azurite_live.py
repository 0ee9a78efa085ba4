"""Azurite, Microsoft's own emulator of Azure Storage, from npm: installed once, run over HTTPS and with tokens."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import jwt

from emulators.authority import LocalAuthority

PINS = Path(__file__).with_name("azurite")
ACCOUNT = "devstoreaccount1"


@asynccontextmanager
async def running(installed: Path, data: Path, authority: LocalAuthority) -> AsyncGenerator[str]:
    """Run it on a free port, and give the address of its one account."""
    certificate, key = authority.issue(["127.0.0.1"])
    process = await asyncio.create_subprocess_exec(
        "node",
        installed / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js",
        *("--blobHost", "127.0.0.1", "--blobPort", "0", "--location", data),
        *("--oauth", "basic", "--cert", certificate, "--key", key, "--skipApiVersionCheck", "--disableTelemetry"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"successfully listens" not in (line := await process.stdout.readline()):
                assert line, "Azurite did not start"
        yield f"{line.decode().split()[-1]}/{ACCOUNT}"
    finally:
        process.terminate()
        await process.wait()


def made_up_token() -> str:
    """Return a token of the form that Azurite looks for; it checks no signature."""
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return jwt.encode(claims, "of no consequence, but long enough", algorithm="HS256")
