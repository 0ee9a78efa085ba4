"""What is out of the store's reach: who vouches for evidence, and where erasures are noted."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import Defect
from data import Anchor, Journal, Signer
from data.journals import FileJournal
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


@asynccontextmanager
async def open_erasure_journal(settings: Settings, client_id: str) -> AsyncGenerator[Journal | None]:
    """Open the place where erasures are noted, as the settings name it; none if they do not.

    Raises:
        Defect: it is a URL, but not an https one (`defect.settings`).
    """
    if "://" not in settings.erasure_journal:
        yield FileJournal(Path(settings.erasure_journal)) if settings.erasure_journal else None
        return
    from data.journals.azure import open_journal

    async with (
        await asyncio.to_thread(make_credential, client_id) as credential,
        open_journal(settings.erasure_journal, credential, settings.ca_file) as journal,
    ):
        yield journal
