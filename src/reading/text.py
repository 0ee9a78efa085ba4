"""Text: which encoding it has, and what of it nobody would see."""

import codecs
import re
import unicodedata

_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
"""What no text in a one-byte encoding has."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]"
    "|[\u200c\u200d]{2,}|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
"""Characters without width, and those that turn the direction of others; joiners stay between letters that use them."""

_LINE_ENDS = re.compile(r"\r\n?|[\f\u2028\u2029]")
_GAPS = re.compile(r"\n{3,}")


def decoded(data: bytes) -> str | None:
    """Return the text: UTF-8, UTF-16 with its mark, else Windows-1252, which holds Latin-1. None if it is no text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strictly(data, "utf-16")
    text = _strictly(data, "utf-8-sig")
    if text is not None:
        return text
    text = _strictly(data, "cp1252")
    return None if text is None or _BINARY.search(text) else text


def cleaned(text: str) -> str:
    """Return the text in its composed form, with plain line ends, and without what nobody would see."""
    lines = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", text))
    seen = _UNSEEN.sub("", _CONTROLS.sub("", lines))
    return _GAPS.sub("\n\n", "\n".join(line.rstrip() for line in seen.split("\n"))).strip("\n")


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
