"""Vouching for an archive of one tenant: for its manifest, and for the last checkpoint that is anchored elsewhere."""

from control import contexts
from core import GENESIS, Clock, TenantContext, timestamp
from data import (
    Anchor,
    Seal,
    SealStatement,
    Signed,
    Signer,
    Store,
    TenantData,
    evidence_keys,
    latest_number,
)


class Sealer:
    def __init__(self, store: Store, signer: Signer, anchor: Anchor, clock: Clock) -> None:
        self._store = store
        self._signer = signer
        self._anchor = anchor
        self._clock = clock

    async def seal(self, context: TenantContext, manifest: str) -> Seal:
        """Vouch for a manifest, whose SHA-256 is given, as one of this tenant's.

        Raises:
            Unavailable: the key or the anchor cannot be reached (`dependency.signer`, `dependency.anchor`).
        """
        number, checkpoint = await self._anchored(self._store.tenant(context))
        statement = SealStatement(
            tenant=context.tenant,
            at=timestamp(self._clock.now()),
            manifest=manifest,
            number=number,
            checkpoint=checkpoint,
        )
        known = {key.kid: key for key in await evidence_keys(self._store.tenant(contexts.publisher("seal")).records)}
        own = await self._signer.key()
        return Seal(
            signed=await Signed.by(self._signer, statement.canonical()), keys=tuple({**known, own.kid: own}.values())
        )

    async def _anchored(self, data: TenantData) -> tuple[int, str]:
        """Return the last checkpoint that is anchored: one that the store has lost may come behind its own last."""
        number, found = await latest_number(data), None
        while number and (found := await self._anchor.read(data.context.tenant, number)) is None:
            number -= 1
        while further := await self._anchor.read(data.context.tenant, number + 1):
            number, found = number + 1, further
        return number, Signed.model_validate_json(found).hash if found else GENESIS
