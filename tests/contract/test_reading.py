"""Reading files: what people get of theirs, and that no file harms anything."""

import asyncio
import os
import subprocess
import sys
import time
import zlib

import pytest

from core.errors import MandateError, Unavailable
from document_files import DOCX, HTML, PDF, docx, paragraph, pdf, table
from orchestration.chunking import chunk_markdown, title_of
from orchestration.readers import ANYTHING, MARKDOWN, Readers

PLAIN = "text/plain"
READERS = Readers()


async def read(data: bytes | str, declared: str = ANYTHING) -> str:
    return (await READERS.read(data.encode() if isinstance(data, str) else data, declared)).markdown


async def refused(data: bytes | str, declared: str = ANYTHING) -> str:
    """Return the code of the refusal."""
    with pytest.raises(MandateError) as caught:
        await read(data, declared)
    return caught.value.code


HARMLESS = "<html><p>Harmless.</p></html>"


async def test_a_pdf_keeps_its_pages_so_that_a_citation_can_name_them() -> None:
    markdown = await read(pdf([["Opening hours", "Nine to five."], [], ["# Page 9", "Closed in August."]]), PDF)
    assert markdown == ("## Page 1\n\nOpening hours\nNine to five.\n\n## Page 3\n\n\\# Page 9\nClosed in August.")


async def test_a_word_document_keeps_headings_lists_and_tables() -> None:
    body = paragraph("Returns", "Heading1") + paragraph("How", "Heading2") + paragraph("Send it back.")
    markdown = await read(docx(body + table([["Days", "Refund"], ["30", "all"]])), DOCX)
    assert "# Returns\n\n## How\n\nSend it back." in markdown
    assert "| Days | Refund |\n| --- | --- |\n| 30 | all |" in markdown


async def test_a_web_page_keeps_headings_lists_tables_and_links() -> None:
    page = (
        "<!doctype html><html><head><title>Prices</title></head><body><h2>Repair</h2><ul><li>Zip</li><li>Seam</li></ul>"
        "<table><tr><th>What</th><th>Price</th></tr><tr><td>Zip</td><td>18.00</td></tr></table>"
        '<p>See <a href="https://example.com/a" title="x">the list</a>.</p></body></html>'
    )
    markdown = await read(page, HTML)
    assert markdown.startswith("# Prices\n\n## Repair\n\n- Zip\n- Seam\n")
    assert "| What | Price |\n| --- | --- |\n| Zip | 18.00 |" in markdown
    assert "See [the list](https://example.com/a)." in markdown


@pytest.mark.parametrize(
    "hidden",
    [
        "<!-- SECRET -->",
        "<script>SECRET</script>",
        "<style>SECRET</style>",
        "<div style='Display : none'>SECRET<p>SECRET</p></div>",
        "<p style='visibility:hidden'>SECRET</p>",
        "<p style='font-size:0px'>SECRET</p>",
        "<p style='opacity:0'>SECRET</p>",
        "<p style='position:absolute;left:-9999px'>SECRET</p>",
        "<p hidden>SECRET</p>",
        "<p aria-hidden='true'>SECRET</p>",
        "<template>SECRET</template>",
        "<noscript>SECRET</noscript>",
        "<input value='SECRET'>",
        "<textarea>SECRET</textarea>",
        "<svg><text>SECRET</text></svg>",
        "<object data='https://example.com/SECRET'>SECRET</object>",
        "<img src='https://example.com/SECRET' alt='SECRET'>",
        "<a href='javascript:SECRET'></a>",
        "<![CDATA[ SECRET ]]>",
        "<?php SECRET ?>",
    ],
)
async def test_what_a_reader_of_a_page_would_not_see_is_not_read(hidden: str) -> None:
    assert await read(f"<html><body><p>Seen.</p>{hidden}<p>Seen too.</p></body></html>", HTML) == "Seen.\n\nSeen too."


async def test_hidden_runs_comments_macros_and_objects_of_a_word_document_are_not_read() -> None:
    parts = {
        "word/vbaProject.bin": b"SECRET",
        "word/embeddings/o.bin": b"SECRET",
        "word/comments.xml": b"<a>SECRET</a>",
    }
    data = docx(paragraph("Seen.") + paragraph("SECRET", hidden=True), parts)
    assert await read(data, DOCX) == "Seen."


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("a\u200bb\u2060c\ufeffd", "abcd"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("soft\u00adhyphen", "softhyphen"),
        ("e\u0301", "\u00e9"),
        ("a\x07b\x1b[2Jc", "ab[2Jc"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("one  \r\n\r\n\r\n\r\ntwo\rthree", "one\n\ntwo\nthree"),
    ],
)
async def test_characters_that_nobody_sees_are_gone_and_words_that_need_joiners_keep_them(said: str, seen: str) -> None:
    assert await read(said, PLAIN) == seen


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
async def test_text_is_read_in_the_encoding_that_it_has(encoding: str) -> None:
    assert await read("caf\u00e9 \u00a320".encode(encoding), PLAIN) == "caf\u00e9 \u00a320"
    page = "<html><p>caf\u00e9</p></html>".encode(encoding)
    assert await read(page, HTML) == "caf\u00e9"


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (pdf([["x"]]), MARKDOWN),
        (pdf([["x"]]), DOCX),
        (docx(paragraph("x")), PDF),
        (HARMLESS, PDF),
        (HARMLESS, PLAIN),
        ("only words", PDF),
        ("only words", HTML),
        (b"\x89PNG\r\n\x1a\n\0\0", ANYTHING),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", DOCX),
        (b"MZ\x90\x00", ANYTHING),
        (b"text with a \0 in it", PLAIN),
    ],
)
async def test_a_file_that_is_not_what_it_is_said_to_be_is_refused(data: bytes | str, declared: str) -> None:
    assert await refused(data, declared) == "document.type"


async def test_a_zip_file_that_is_no_word_document_is_refused() -> None:
    spreadsheet = docx("", {}).replace(b"word/document.xml", b"xl/worksheets.xml")
    assert await refused(spreadsheet) == "document.type"


async def test_a_file_with_a_password_is_refused_and_one_that_opens_without_is_read() -> None:
    assert await refused(pdf([["x"]], password="secret"), PDF) == "document.encrypted"
    assert "Nine" in await read(pdf([["Nine to five."]], owner="secret"), PDF)


async def test_a_file_without_text_says_that_it_may_have_been_scanned() -> None:
    for data, declared in ((pdf([[], []]), PDF), (docx(""), DOCX), ("<html><img src='x'></html>", HTML)):
        assert await refused(data, declared) == "document.no_text"


@pytest.mark.parametrize("length", [8, 400])
@pytest.mark.parametrize(("data", "declared"), [(pdf([["x" * 50] * 9]), PDF), (docx(paragraph("x" * 50)), DOCX)])
async def test_a_file_that_was_cut_off_is_refused(data: bytes, declared: str, length: int) -> None:
    assert await refused(data[:length], declared) in ("document.broken", "document.no_text")


async def test_a_file_of_too_many_pages_is_refused() -> None:
    empty: list[str] = []
    assert await refused(pdf([empty] * 2001), PDF) == "document.pages"
    lying = pdf([["x"]]).replace(b"/Count 1", b"/Count 9999999")
    assert await refused(lying, PDF) == "document.pages"


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("before", "body"),
    [
        (f'<!DOCTYPE d [<!ENTITY e0 "ha">{ENTITIES}]>', paragraph("&e9;")),
        ('<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>', paragraph("&x;")),
        ('<!DOCTYPE d SYSTEM "http://127.0.0.1:9/evil.dtd">', paragraph("x")),
    ],
)
async def test_entities_of_a_word_document_are_never_resolved(before: str, body: str) -> None:
    assert await refused(docx(body, before=before), DOCX) == "document.broken"


async def test_a_zip_bomb_is_refused_before_it_goes_off() -> None:
    bomb = docx(paragraph("x"), {"word/bomb.xml": b"<a>" + b" " * 80_000_000 + b"</a>"})
    assert len(bomb) < 200_000
    started = time.monotonic()
    assert await refused(bomb, DOCX) == "document.limits"
    assert time.monotonic() - started < 10


async def test_a_stream_that_unpacks_without_end_is_refused() -> None:
    whole = zlib.compress(b"BT " + b"(x) Tj " * 20_000_000 + b"ET", 9)
    small = pdf([["marker"]])
    start = small.index(b"stream\n", small.index(b"FlateDecode")) + len(b"stream\n")
    end = small.index(b"\nendstream", start)
    length = small.rindex(b"/Length", 0, start)
    bomb = small[:length] + b"/Length %d\n" % len(whole) + b">>\nstream\n" + whole + small[end:]
    assert await refused(bomb, PDF) in ("document.limits", "document.broken")


async def test_nesting_without_end_is_refused() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 2000 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 2000
    assert await refused(docx(deep), DOCX) == "document.limits"
    assert await refused("<html>" + "<div>" * 50_000 + "x", HTML) == "document.limits"


@pytest.mark.parametrize(
    "text", ["a" + " " * 1_000_000 + "b", "<!---->" * 100_000 + "x", "# a" + " " * 1_000_000 + "b"]
)
async def test_text_that_is_slow_to_match_is_read_at_once(text: str) -> None:
    started = time.monotonic()
    assert title_of(await read(text), "")
    chunk_markdown("T", text)
    assert time.monotonic() - started < 5


async def test_too_much_text_is_refused() -> None:
    assert await refused(b"word " * 400_000, PLAIN) == "request.size"
    assert await refused("<html><p>" + "word " * 400_000, HTML) == "document.limits"


async def test_a_process_that_takes_too_long_is_ended() -> None:
    hasty = Readers(seconds=0.01)
    with pytest.raises(MandateError) as caught:
        await hasty.read(pdf([["x"]]), PDF)
    assert caught.value.code == "document.limits"
    assert await read(HARMLESS, HTML) == "Harmless."


async def test_whoever_waits_too_long_for_a_reader_is_told_to_come_back() -> None:
    busy = Readers(1, queue_seconds=0.05)
    first = asyncio.create_task(busy.read(pdf([["x"]]), PDF))
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable) as caught:
        await busy.read(pdf([["x"]]), PDF)
    assert (caught.value.code, caught.value.retry_after) == ("document.busy", 5)
    assert "x" in (await first).markdown


TRIES = """
import ctypes, os, resource, socket, subprocess, sys
from reading import confinement
confinement.limit()
confinement.lock()
def end():
    resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))
tries = {
    "read a file": lambda: open("/etc/passwd"),
    "write a file": lambda: open("/tmp/mandate-was-here", "w"),
    "list a folder": lambda: os.listdir("/"),
    "open a socket": lambda: socket.socket(),
    "start a program": lambda: os.execv("/bin/true", ["true"]),
    "fork": lambda: os.fork(),
    "signal": lambda: os.kill(os.getppid(), 0),
    "raise a limit": end,
}
done = []
for name, attempt in tries.items():
    try:
        attempt()
        done.append(name)
    except (OSError, ValueError):
        pass
try:
    bytearray(2_000_000_000)
    done.append("take memory")
except MemoryError:
    pass
sys.stdout.write(repr(done))
"""


def test_code_that_took_a_reader_over_could_still_do_nothing() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", TRIES], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("[]", 0), done.stderr


def test_a_reader_cannot_compute_for_ever() -> None:
    code = "from reading import confinement, limits\nconfinement.CPU_SECONDS = 1\nconfinement.limit()\nwhile True: pass"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode < 0
    assert time.monotonic() - started < 30


async def test_a_reader_knows_nothing_of_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANDATE_CANARY", "1")
    seen: list[object] = []
    started = asyncio.create_subprocess_exec

    async def noting(*program: str, **options: object) -> asyncio.subprocess.Process:
        seen.append((options["env"], os.listdir(str(options["cwd"]))))
        return await started(*program, **options)  # pyright: ignore[reportArgumentType] - passed on as they came

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noting)
    assert await read(HARMLESS, HTML) == "Harmless."
    assert seen == [({}, [])]
