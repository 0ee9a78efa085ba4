"""`mandate data reapply`: after a restore, before anything else starts."""

from pathlib import Path

from rich.console import Console

from control import Erasures
from core import Effect, SystemClock
from core.errors import NotFound
from data.journals import FileJournal
from data.sqlite import open_store
from orchestration import Eraser

console = Console()


async def reapply(folder: Path, journal: Path | None) -> int:
    """Erase what the journal has and the store has not, and say of each what went.

    Raises:
        NotFound: no store there, or no journal.
    """
    path, journal = folder / "mandate.db", journal or folder / "erasures.jsonl"
    for file in (path, journal):
        if not file.exists():
            raise NotFound(f"There is no {file}. Name the folder with --folder, the journal with --journal.")
    clock = SystemClock()
    async with open_store(path) as store:
        erasures = Erasures(store, clock, FileJournal(journal))
        # Which effect a tool has is not known here: of one under way nobody can say what came of it.
        eraser = Eraser(store, erasures, clock, lambda _: Effect.WRITE)
        await erasures.recall()
        records = [await eraser.carry(record) for record in await erasures.open()]
    for record in records:
        items = sum(line.items for line in record.receipt)
        console.print(f"{record.subject} {record.target}: {items} items, {record.waits or 'done'}")
    console.print(f"{len(records)} erasures done again")
    return 1 if any(record.waits for record in records) else 0
