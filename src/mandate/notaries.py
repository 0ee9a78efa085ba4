"""Who vouches for evidence: files of this machine, or a key in Key Vault and immutable blobs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import Defect
from data import Anchor, Signer
from data.notary import FileAnchor, LocalSigner
from mandate.settings import Settings
from web import make_credential


@asynccontextmanager
async def open_notary(settings: Settings, client_id: str) -> AsyncGenerator[tuple[Signer, Anchor]]:
    """Open what signs evidence and where it is anchored, as the settings name them.

    Raises:
        Defect: one is a file and the other in Azure, or a file is named outside of a laptop (`defect.settings`).
    """
    in_azure = {"://" in settings.evidence_key, "://" in settings.evidence_anchor}
    if in_azure == {False} and settings.is_local:
        yield LocalSigner(Path(settings.evidence_key)), FileAnchor(Path(settings.evidence_anchor))
        return
    if in_azure != {True}:
        raise Defect(
            "MANDATE_EVIDENCE_KEY and MANDATE_EVIDENCE_ANCHOR must be https URLs; files vouch on a laptop only.",
            code="defect.settings",
        )
    from data.notary.azure import open_anchor, open_signer

    async with (
        await asyncio.to_thread(make_credential, client_id) as credential,
        open_signer(settings.evidence_key, credential) as signer,
        open_anchor(settings.evidence_anchor, credential, settings.ca_file) as anchor,
    ):
        yield signer, anchor
