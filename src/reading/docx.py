"""DOCX to Markdown, by way of HTML. Macros, embedded objects, pictures, comments and hidden text stay behind."""

import io
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as Tree
from xml.parsers import expat

import mammoth

from reading import html
from reading.kinds import CannotRead, Why

MAX_UNPACKED = 60_000_000
"""Bytes of all parts that are read."""

MAX_PARTS = 5000
MAX_DEPTH = 200

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_READ = (".xml", ".rels")


def to_markdown(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            plain = _rebuilt(package)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CannotRead(Why.BROKEN) from error
    return html.to_markdown(_html(plain))


def _html(package: io.BytesIO) -> str:
    def nothing(_: object) -> list[object]:
        return []

    done = mammoth.convert_to_html(package, include_embedded_style_map=False, convert_image=nothing)  # pyright: ignore[reportUnknownMemberType] - mammoth has no types
    return str(done.value)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - the same


def _rebuilt(package: zipfile.ZipFile) -> io.BytesIO:
    """Return a package of the parts that make up the text, each checked."""
    parts = package.infolist()
    if not {"[Content_Types].xml", "word/document.xml"} <= {part.filename for part in parts}:
        raise CannotRead(Why.TYPE)
    if any(part.flag_bits & 1 for part in parts):
        raise CannotRead(Why.ENCRYPTED)
    read = [part for part in parts if part.filename.endswith(_READ)]
    # A part never gives more bytes than its entry declares, so the declared sizes are a bound.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in read) > MAX_UNPACKED:
        raise CannotRead(Why.LIMITS)
    rebuilt = io.BytesIO()
    with zipfile.ZipFile(rebuilt, "w") as target:
        for part in read:
            target.writestr(part.filename, _checked(package.read(part)))
    return rebuilt


def _checked(xml: bytes) -> bytes:
    """Return a part without hidden runs; refuse one that declares a document type, as no word processor writes them."""
    parser, depth = expat.ParserCreate(), 0

    def refuse(*_: object) -> None:
        raise CannotRead(Why.BROKEN)

    def deeper(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise CannotRead(Why.LIMITS)

    def higher(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler, parser.StartElementHandler, parser.EndElementHandler = refuse, deeper, higher
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise CannotRead(Why.BROKEN) from error
    return _without_hidden(xml) if b"vanish" in xml else xml


def _without_hidden(xml: bytes) -> bytes:
    root = Tree.fromstring(xml)  # noqa: S314 - has no document type, as was checked
    for parent in list(root.iter()):
        for run in [child for child in parent if child.tag == f"{_W}r" and any(_vanishes(child))]:
            parent.remove(run)
    return Tree.tostring(root)


def _vanishes(run: Tree.Element) -> Iterator[bool]:
    for name in ("vanish", "specVanish", "webHidden"):
        found = run.find(f"{_W}rPr/{_W}{name}")
        yield found is not None and found.get(f"{_W}val", "1") not in ("0", "false", "off")
