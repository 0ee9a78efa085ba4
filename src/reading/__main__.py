"""`python -I -m reading <kind>`: one document by stdin, Markdown by stdout. One process for each document.

The first line says how it went: `ok`, and the Markdown follows; else a `Why`. A process that takes too much is ended by
the kernel, without an answer.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from contextlib import suppress

from reading import confinement
from reading.kinds import CannotRead, Kind, Why
from reading.limits import MAX_MARKDOWN
from reading.text import decoded

_WHOLE = {Kind.HTML: ("bs4", "markdownify"), Kind.DOCX: ("mammoth", "bs4", "markdownify", "xml"), Kind.PDF: ("pypdf",)}
"""Packages of which any module may be imported only when it is needed; by then nothing can be opened."""


def main() -> None:
    kind = Kind(sys.argv[1])
    confinement.limit()
    read = _reader(kind)
    data = sys.stdin.buffer.read()
    confinement.lock()
    sys.stdout.buffer.write(_answer(read, data))
    sys.stdout.buffer.flush()


def _reader(kind: Kind) -> Callable[[bytes], str]:
    for package in ("encodings", *_WHOLE[kind]):
        _import_whole(package)
    match kind:
        case Kind.PDF:
            from reading import pdf

            return pdf.to_markdown
        case Kind.DOCX:
            from reading import docx

            return docx.to_markdown
        case _:
            from reading import html

            return lambda data: html.to_markdown(decoded(data) or "")


def _import_whole(package: str) -> None:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        with suppress(ImportError):  # some need what is not installed, or another system
            importlib.import_module(module.name)


def _answer(read: Callable[[bytes], str], data: bytes) -> bytes:
    try:
        markdown = read(data)
        if len(markdown) > MAX_MARKDOWN:
            raise CannotRead(Why.LIMITS)
        return b"ok\n" + markdown.encode(errors="ignore")
    except CannotRead as error:
        return error.why.encode()
    except (RecursionError, MemoryError):
        return Why.LIMITS.encode()
    except Exception:  # noqa: BLE001 - parsers break in every way on what is broken, and nothing of it may be told
        return Why.BROKEN.encode()


main()
