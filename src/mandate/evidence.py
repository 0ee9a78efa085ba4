"""`mandate evidence verify`: every chain and every checkpoint of a local store, walked from its bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from control import TenantRecord, contexts
from core import PUBLISHER, TenantId
from core.errors import Defect, NotFound
from data import Keys, PublicKey, Signed, Store, Walk, checkpoints, evidence_keys, verified_runs
from data.notary import FileAnchor, LocalSigner
from mandate.exports import keys_of
from mandate.local.kept import open_kept
from mandate.local.stack import ANCHORS, EVIDENCE_KEY, StoreKind

console = Console()


async def verify(folder: Path, run: str, store: StoreKind, pinned: Sequence[PublicKey] = ()) -> int:
    """Check checkpoints and chains, name what is broken of each tenant, the first first; 0 if all hold, 1 otherwise.

    Signatures are believed of the keys that are `pinned`, else of the one that lies beside the store.

    Raises:
        NotFound: no store there, or no such run.
    """
    anchored = _anchored(folder / ANCHORS)  # first: what is anchored by now is in a store that is opened later
    async with open_kept(folder, store) as kept:
        checking = _Checking(kept, folder / ANCHORS, anchored, await _keys(kept, folder, pinned))
        await checking.all(run)
    if run and not checking.runs:
        raise NotFound("There is no such run in this store.")
    for tenant, broken in checking.broken:
        console.print(f"[red]broken[/red]  {tenant} {escape(broken)}", soft_wrap=True)
    walks = checking.walks.values()
    count = sum(walk.last.number for walk in walks if walk.last)
    console.print(f"{checking.runs} runs, {checking.events} events that hold, {checking.chains} broken chains")
    console.print(f"{count} checkpoints; {sum(walk.newer for walk in walks)} events are newer than the last of them")
    return 1 if checking.broken else 0


def _anchored(anchors: Path) -> Mapping[TenantId, Sequence[int]]:
    """Return the numbers of the checkpoints that are anchored, by tenant."""
    return {
        TenantId(folder.name): sorted(int(file.stem) for file in folder.glob("*.json"))
        for folder in anchors.glob("ten_*")
    }


async def _keys(kept: Store, folder: Path, pinned: Sequence[PublicKey]) -> Keys:
    beside = folder / EVIDENCE_KEY
    own = [await LocalSigner(beside).key()] if beside.exists() else []
    known = await evidence_keys(kept.tenant(contexts.publisher("verify")).records)
    return keys_of(known, pinned or own)


class _Checking:
    def __init__(self, kept: Store, anchors: Path, anchored: Mapping[TenantId, Sequence[int]], keys: Keys) -> None:
        self._kept = kept
        self._anchor = FileAnchor(anchors)
        self._anchored = anchored
        self._keys = keys
        self.walks: dict[TenantId, Walk] = {}
        self.broken: list[tuple[TenantId, str]] = []
        self.runs = self.events = self.chains = 0

    async def all(self, run: str) -> None:
        """Check everything; with `run` that run alone, against the checkpoints."""
        for tenant in sorted(await self._tenants()):
            await self._checkpoints(tenant)
        async for verdict, events in verified_runs(self._kept.platform):
            if run not in ("", verdict.run):
                continue
            self.runs, self.events = self.runs + 1, self.events + verdict.events
            self.chains += not verdict.ok
            if verdict.broken:
                broken = f"{verdict.run} event {verdict.events + 1}: {verdict.broken.value}"
                self.broken.append((verdict.tenant, broken))
            if verdict.tenant not in self.walks:
                await self._checkpoints(verdict.tenant)
            self._note(verdict.tenant, *self.walks[verdict.tenant].run(verdict.run, events))
        if not run:
            for tenant, walk in self.walks.items():
                self._note(tenant, *walk.missing())

    async def _tenants(self) -> set[TenantId]:
        """Return all tenants that anything is known of, also where every run of theirs was deleted."""
        directory = self._kept.tenant(contexts.publisher("verify")).records
        known, cursor = {PUBLISHER, *self._anchored}, None
        while True:
            page = await directory.list(TenantRecord, cursor=cursor)
            known |= {found.value.id for found in page.items}
            cursor = page.cursor
            if cursor is None:
                return known

    async def _checkpoints(self, tenant: TenantId) -> None:
        walk = self.walks[tenant] = Walk(tenant, Keys(self._keys.known, self._keys.pinned))
        found = dict[int, Signed]()
        try:
            async for one in checkpoints(self._kept.tenant(contexts.from_log(tenant))):
                number, found[int(one.key)] = int(one.key), one.value.signed
                self._note(tenant, *walk.checkpoint(number, one.value.signed, one.value.changes))
        except Defect as error:
            self._note(tenant, f"checkpoint {len(found) + 1}, or one of the next: {error.message}")
            return
        # The last one may be about to be anchored at this moment.
        for number in sorted({*self._anchored.get(tenant, ()), *list(found)[:-1]}):
            anchored = await self._anchor.read(tenant, number)
            self._note(tenant, *walk.anchored(number, anchored, found.get(number)))

    def _note(self, tenant: TenantId, *broken: str) -> None:
        self.broken += [(tenant, one) for one in broken]
