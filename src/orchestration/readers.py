"""Reading a file that somebody brings: what it is, found from its bytes; and its text, as Markdown."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from core.errors import MandateError, TooLarge, Unavailable, Unprocessable
from reading import Kind, Why, cleaned, decoded, kind_of
from reading.limits import MAX_MARKDOWN, MAX_PAGES, SECONDS

QUEUE_SECONDS = 20.0
"""How long a file waits for its turn."""

MEDIA_TYPES = {
    Kind.TEXT: "text/plain",
    Kind.HTML: "text/html",
    Kind.PDF: "application/pdf",
    Kind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

MARKDOWN = "text/markdown"
ANYTHING = "application/octet-stream"
"""Declared by whoever does not know."""

_DECLARED = {media_type: kind for kind, media_type in MEDIA_TYPES.items()} | {MARKDOWN: Kind.TEXT}
_MOST_OUTPUT = 4 * MAX_MARKDOWN + 100


@dataclass(frozen=True, slots=True)
class Read:
    """What a file turned out to be, and its text as Markdown."""

    media_type: str
    markdown: str


class Readers:
    """Reads files, each in a confined process of its own; see `reading`.

    Args:
        at_once: so many processes at most.
        queue_seconds: how long a file waits for one.
        seconds: how long a process may take, by the clock.
    """

    def __init__(self, at_once: int = 2, *, queue_seconds: float = QUEUE_SECONDS, seconds: float = SECONDS) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._queue_seconds = queue_seconds
        self._seconds = seconds

    async def read(self, data: bytes, declared: str) -> Read:
        """Return a file's text. `declared` is the media type that the sender gave.

        Raises:
            Unprocessable: it cannot be read, or is not what was declared; the code says why.
            TooLarge: too many pages.
            Unavailable: too many files at once.
        """
        kind = await asyncio.to_thread(kind_of, data)
        if kind is Kind.TEXT and declared == MEDIA_TYPES[Kind.HTML] and b"<" in data:
            kind = Kind.HTML  # a piece of a page
        if kind is None or declared not in (ANYTHING, *(name for name, its in _DECLARED.items() if its is kind)):
            raise _refusal(Why.TYPE)
        markdown = await asyncio.to_thread(_text, data) if kind is Kind.TEXT else await self._parsed(kind, data)
        return Read(declared if declared == MARKDOWN else MEDIA_TYPES[kind], markdown)

    async def _parsed(self, kind: Kind, data: bytes) -> str:
        async with self._turn():
            output = await self._output(kind, data)
        status, _, text = output.partition(b"\n")
        if status != b"ok":
            raise _refusal(Why(status.decode()) if status.decode(errors="replace") in list(Why) else Why.LIMITS)
        markdown = await asyncio.to_thread(lambda: cleaned(text.decode(errors="replace")))
        if not markdown.strip():
            raise _refusal(Why.NO_TEXT)
        return markdown

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable(
                "Too many documents are being read at this moment. Try again shortly.",
                code="document.busy",
                retry_after=5,
            ) from None
        try:
            yield
        finally:
            self._free.release()

    async def _output(self, kind: Kind, data: bytes) -> bytes:
        """Return what the process says; nothing if it was ended."""
        with TemporaryDirectory(prefix="mandate-reading-") as empty:
            process = await _started(kind, empty)
            try:
                async with asyncio.timeout(self._seconds):
                    output, _ = await asyncio.gather(_bounded(process), _feed(process, data))
                    await process.wait()
                    return output
            except TimeoutError:
                return b""
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def _started(kind: Kind, folder: str) -> asyncio.subprocess.Process:
    program = (sys.executable, "-I", "-B", "-m", "reading", kind.value)
    try:
        return await asyncio.create_subprocess_exec(
            *program, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd=folder, env={}, start_new_session=True
        )
    except OSError:
        raise Unavailable(
            "Documents of this kind cannot be read at this moment. Try again shortly.",
            code="dependency.reader",
            retry_after=5,
        ) from None


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):  # it has ended already
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()


async def _bounded(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while piece := await process.stdout.read(65536):
        output += piece
        if len(output) > _MOST_OUTPUT:
            raise _refusal(Why.LIMITS)
    return bytes(output)


def _text(data: bytes) -> str:
    markdown = cleaned(decoded(data) or "")
    if len(markdown) > MAX_MARKDOWN:
        raise TooLarge(f"The text has more than {MAX_MARKDOWN:,} characters. Split it into several documents.")
    return markdown


def _refusal(why: Why) -> MandateError:
    match why:
        case Why.TYPE:
            return Unprocessable(
                "The file is not what it is said to be, or of a kind that is not read. "
                "Send Markdown, plain text, HTML, PDF or DOCX, with the media type that fits.",
                code="document.type",
            )
        case Why.ENCRYPTED:
            return Unprocessable(
                "The file is protected by a password. Save it without one and send it again.",
                code="document.encrypted",
            )
        case Why.NO_TEXT:
            return Unprocessable(
                "There is no text in the file. If it was scanned, have its text recognised first.",
                code="document.no_text",
            )
        case Why.BROKEN:
            return Unprocessable(
                "The file is damaged, or not as its format wants it. Save it anew and send it again.",
                code="document.broken",
            )
        case Why.PAGES:
            return TooLarge(
                f"The file has more than {MAX_PAGES:,} pages. Split it into several.", code="document.pages"
            )
        case Why.LIMITS:
            return Unprocessable(
                "Reading the file takes more time or memory than any document may, or gives too much text. "
                "Split it, or save it in a simpler form.",
                code="document.limits",
            )
