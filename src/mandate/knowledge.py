"""`mandate knowledge add`: documents from files, each taken in once however often it is given."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from core import Json, derived_id, digest
from core.errors import MandateError, Unprocessable
from mandate.api import Document, DocumentPage
from mandate.client import Client
from mandate.people import sign_in

console = Console(highlight=False, soft_wrap=True)

SUFFIXES = (".md", ".txt")

_FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_LONGEST_TITLE = 200


async def add(url: str, user: str, collection: str, files: Sequence[Path]) -> int:
    """Add files, and folders of them, to a collection; 1 if any of them failed or there is none, else 0.

    Raises:
        NotFound: there is no such user.
        ApiError: they may not read the documents of the collection.
    """
    found = await asyncio.to_thread(lambda: list(_files(files)))
    if not found:
        console.print(f"There are no files that end in {' or '.join(SUFFIXES)}.")
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
            yield from sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
        else:
            yield path


async def _add(client: Client, collection: str, path: Path) -> str:
    """Take one file in and return its document's id."""
    text = _decoded(await asyncio.to_thread(path.read_bytes))
    title = _title(text, path)
    body: Json = {"collection": collection, "title": title, "text": text}
    key = derived_id("key", collection, title, digest(text.encode()))
    return Document.model_validate(await client.post("/v1/documents", body, Idempotency_Key=key)).document


def _decoded(data: bytes) -> str:
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
        if "\0" not in text and text.strip():
            return text
        raise Unprocessable("It is empty, or it is no text.", code="request.text")
    raise Unprocessable("It is not UTF-8; save it as UTF-8.", code="request.encoding")


def _title(text: str, path: Path) -> str:
    heading = _HEADING.search(_FENCED.sub("", text))
    title = "".join(c for c in (heading[1] if heading else path.stem) if c.isprintable())
    return title[:_LONGEST_TITLE] or path.name[:_LONGEST_TITLE]


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
