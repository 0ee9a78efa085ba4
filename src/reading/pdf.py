"""PDF to Markdown: the text of each page, under a heading with its number."""

import io

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError, LimitReachedError, PyPdfError
from pypdf.generic import DictionaryObject

from reading.kinds import CannotRead, Why
from reading.limits import MAX_MARKDOWN, MAX_PAGES


def to_markdown(data: bytes) -> str:
    try:
        return _pages(PdfReader(io.BytesIO(data)))
    except FileNotDecryptedError as error:
        raise CannotRead(Why.ENCRYPTED) from error
    except LimitReachedError as error:
        raise CannotRead(Why.LIMITS) from error
    except PyPdfError as error:
        raise CannotRead(Why.BROKEN) from error


def _pages(reader: PdfReader) -> str:
    if reader.is_encrypted and not reader.decrypt(""):  # many are locked against changes only, and open without a word
        raise CannotRead(Why.ENCRYPTED)
    pieces: list[str] = []
    size = 0
    for number, page in enumerate(_counted(reader).pages, start=1):
        if text := _page(page.extract_text()):
            pieces.append(f"## Page {number}\n\n{text}")
            size += len(pieces[-1])
        if size > MAX_MARKDOWN:
            raise CannotRead(Why.LIMITS)
    return "\n\n".join(pieces)


def _counted(reader: PdfReader) -> PdfReader:
    """Return a reader of not too many pages, by what the file says and by what is there."""
    root = reader.root_object["/Pages"].get_object()
    declared = root["/Count"] if isinstance(root, DictionaryObject) and "/Count" in root else 0
    if (isinstance(declared, int) and declared > MAX_PAGES) or len(reader.pages) > MAX_PAGES:
        raise CannotRead(Why.PAGES)
    return reader


def _page(text: str) -> str:
    """Return a page's text; none of its lines can pass for a heading, and so for another page."""
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(f"\\{line}" if line.startswith("#") else line for line in lines).strip()
