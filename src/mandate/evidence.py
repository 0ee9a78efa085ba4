"""`mandate evidence verify`: every chain of a local store, walked from its bytes."""

from pathlib import Path

from rich.console import Console

from core.errors import NotFound
from data import verify_all
from mandate.local.kept import open_kept
from mandate.local.stack import StoreKind

console = Console()


async def verify(folder: Path, run: str, store: StoreKind) -> int:
    """Walk the chains, name the first broken event of each run that has one; 0 if all hold, 1 otherwise.

    Raises:
        NotFound: no store there, or no such run.
    """
    async with open_kept(folder, store) as kept:
        verdicts = [verdict async for verdict in verify_all(kept.platform) if run in ("", verdict.run)]
    if run and not verdicts:
        raise NotFound("There is no such run in this store.")
    for verdict in verdicts:
        if verdict.broken:
            console.print(
                f"[red]broken[/red]  {verdict.tenant} {verdict.run} event {verdict.events + 1}: {verdict.broken.value}"
            )
    events = sum(verdict.events for verdict in verdicts)
    broken = sum(not verdict.ok for verdict in verdicts)
    console.print(f"{len(verdicts)} runs, {events} events that hold, {broken} broken chains")
    return 1 if broken else 0
