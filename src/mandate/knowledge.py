"""`mandate knowledge add`: documents from files, each taken in once however often it is given."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from core import derived_id, digest
from core.errors import MandateError
from mandate.api import Document, DocumentPage
from mandate.client import ApiError, Client, File
from mandate.people import sign_in

console = Console(highlight=False, soft_wrap=True)

TYPES = {
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


async def add(url: str, user: str, collection: str, files: Sequence[Path]) -> int:
    """Add files, and folders of them, to a collection; 1 if any of them failed or there is none, else 0.

    Raises:
        NotFound: there is no such user.
        ApiError: they may not read the documents of the collection.
    """
    found = await asyncio.to_thread(lambda: list(_files(files)))
    if not found:
        console.print(f"There are no files that end in {' or '.join(TYPES)}.")
        return 1
    async with aiohttp.ClientSession() as session:
        client = await sign_in(session, url, user)
        known = await _known(client, collection)
        failed = unchanged = 0
        with _progress() as bar:
            for path in bar.track(found, description=collection):
                try:
                    unchanged += await _add(client, collection, path) in known
                except (MandateError, OSError) as error:
                    failed += 1
                    bar.console.print(Text.assemble(("failed  ", "red"), f"{path}: {error}"))
    console.print(f"{len(found) - failed - unchanged} added, {unchanged} unchanged, {failed} failed")
    return 1 if failed else 0


def _files(given: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that were named, and those with a known suffix in the folders that were."""
    for path in given:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in TYPES and file.is_file())
        else:
            yield path


async def _add(client: Client, collection: str, path: Path) -> str:
    """Take one file in and return its document's id."""
    data = await asyncio.to_thread(path.read_bytes)
    key = derived_id("key", collection, path.name, digest(data))
    file = File(path.name, TYPES.get(path.suffix.lower(), "application/octet-stream"), data)
    try:
        added = await client.upload("/v1/documents", file, {"collection": collection}, Idempotency_Key=key)
    except ApiError as error:
        if error.code != "request.idempotency_key":
            raise
        # What was sent under this key is erased: take it in as something new.
        added = await client.upload("/v1/documents", file, {"collection": collection})
    return Document.model_validate(added).document


async def _known(client: Client, collection: str) -> frozenset[str]:
    """Return the ids of the documents that are in the collection already."""
    found: list[str] = []
    cursor = ""
    while True:
        more = f"&cursor={quote(cursor)}" if cursor else ""
        page = DocumentPage.model_validate(await client.get(f"/v1/documents?collection={collection}&limit=100{more}"))
        found += [document.document for document in page.items]
        if page.cursor is None:
            return frozenset(found)
        cursor = page.cursor


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
