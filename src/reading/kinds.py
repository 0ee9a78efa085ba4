"""What a document is, found from its bytes: neither its name nor what the sender says of it is believed."""

import re
from enum import StrEnum

from reading.text import decoded


class Kind(StrEnum):
    TEXT = "text"
    """Plain text or Markdown: the two cannot be told apart."""
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"


class Why(StrEnum):
    """Why a document cannot be read."""

    ENCRYPTED = "encrypted"
    NO_TEXT = "no_text"
    BROKEN = "broken"
    TYPE = "type"
    PAGES = "pages"
    LIMITS = "limits"


class CannotRead(Exception):
    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


_PAGE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*|<!--(?s:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE
)
_BEGINNING = 4000


def kind_of(data: bytes) -> Kind | None:
    """Return what the bytes are; None for what is never read. A zip file counts as DOCX until it is opened."""
    if data.startswith(b"%PDF-"):
        return Kind.PDF
    if data.startswith(b"PK\x03\x04"):
        return Kind.DOCX
    text = decoded(data)
    if text is None:
        return None
    return Kind.HTML if _PAGE.match(text[:_BEGINNING]) else Kind.TEXT
