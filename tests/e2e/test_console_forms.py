"""Whatever is sent by the forms of the console: an answer or a clear refusal, as a page; nothing is believed."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from core import ID_PATTERN
from emulators.identity import SERVICE_TID
from mandate.client import Client
from mandate.local.stack import Stack, free_port
from mandate.local.world import load_companies
from mandate.people import sign_in
from mandate.settings import ROOT
from page_forms import Form, crawl
from seeded import seeded

FORM = "application/x-www-form-urlencoded"
SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    *("", "\x00\ufffe\u202e", SCRIPT, "-1", "9" * 400, "[]", "//evil.example/", "2026-13-45"),
    *("x\r\nSet-Cookie: session=mine", "wörd " * 5_000),
)
BODIES = (
    (FORM, b""),
    (FORM, b"%ED%A0%80=%FF%FE&=&&&"),
    (FORM, b"&".join(b"f%d=1" % number for number in range(101))),
    (FORM, b"text=" + b"x" * 300_000),
    ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\ncut off'),
    ("multipart/form-data", b"without a boundary"),
    ("application/json", b'{"text": {"a": []}}'),
    ("text/plain", b"\xff\xfe"),
)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stack]:
    """A product of its own, since some of what is sent does what the form is for."""
    stack = Stack(tmp_path_factory.mktemp("forms"), free_port())
    async with seeded(stack):
        yield stack


async def test_no_form_of_the_console_breaks(product: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        owner = await sign_in(session, product.url, load_companies(ROOT)[0].admin.username)
        await owner.post("/v1/runs", {"agent": "support", "message": "How long is the warranty?"})
        _, forms = await crawl("/", lambda path: read(session, product, owner, path))
        kinds = {(re.sub(ID_PATTERN, "ID", form.action), *form.fields): form for form in forms}
        assert len(kinds) > 15, "the console has this many forms at least"
        wrong = [found for form in kinds.values() for found in await attacked(session, product, owner, form)]
    assert not wrong, "\n".join(wrong)


async def test_no_form_of_the_publishers_console_breaks(product: Stack) -> None:
    """Comes last: it switches off for all what its forms are for."""
    async with aiohttp.ClientSession() as session:
        petra = await Client.signed_in(session, product.url, SERVICE_TID, "petra@publisher.example")
        for deal in ("customer", "csp"):
            form = {"plan": "team", "beneficiary": "pat@personal.example", "name": SCRIPT, "deal": deal}
            async with session.post(f"{product.url}/shop/buy", data=form, allow_redirects=False) as answer:
                assert answer.status == 303
        compare = Form("/publisher/comparison", "POST", {"csrf": ""})
        assert not await attacked(session, product, petra, compare)
        wrong, kinds = list[str](), dict[tuple[str, ...], Form]()
        for _ in range(2):  # what is activated by a form of the first round has others in the second
            _, forms = await crawl("/publisher", lambda path: read(session, product, petra, path))
            found = {
                (re.sub(rf"{ID_PATTERN}|[0-9a-f-]{{36}}", "ID", form.action), *form.fields): form for form in forms
            }
            for kind in found.keys() - kinds.keys():
                wrong += await attacked(session, product, petra, found[kind])
            kinds |= found
    assert len(kinds) > 6, f"the publisher's console has this many forms at least: {sorted(kinds)}"
    assert not wrong, "\n".join(wrong)


async def asked(
    session: aiohttp.ClientSession, who: Client, method: str, url: str, **how: Any
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return the answer and its body; who asks too often waits as they are told, so that nothing goes unasked."""
    headers = {"Authorization": f"Bearer {who.token}", **how.pop("headers", {})}
    while True:
        async with asyncio.timeout(60), session.request(method, url, headers=headers, **how) as answer:
            body = await answer.read()
        if answer.status != 429:
            return answer, body
        await asyncio.sleep(float(answer.headers["Retry-After"]))


async def read(session: aiohttp.ClientSession, product: Stack, owner: Client, path: str) -> str:
    answer, body = await asked(session, owner, "GET", f"{product.url}{path}")
    return body.decode() if answer.content_type == "text/html" else ""


def bodies(form: Form) -> Iterator[tuple[str, bytes]]:
    """Yield what is sent: each field with each hostile value and left out, and what is no such form at all."""
    for name in form.fields:
        for value in HOSTILE:
            yield FORM, encoded({**form.fields, name: value})
        yield FORM, encoded({key: value for key, value in form.fields.items() if key != name})
        yield FORM, encoded(form.fields) + b"&" + encoded({name: "twice"})
    yield from BODIES


def encoded(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode()


async def attacked(session: aiohttp.ClientSession, product: Stack, owner: Client, form: Form) -> list[str]:
    """Return what was wrong with the answers to a form."""
    wrong: list[str] = []
    for media_type, body in bodies(form):
        headers = {"Accept": "text/html", "Content-Type": media_type}
        url = f"{product.url}{form.action}"
        answer, told = await asked(session, owner, "POST", url, data=body, headers=headers, allow_redirects=False)
        text = told.decode()
        what = f"{form.action} {media_type} {body[:200]!r}: {answer.status}"
        if answer.status >= 500:
            wrong.append(f"breaks: {what}: {text[-300:]}")
        if answer.status >= 400 and answer.content_type != "text/html":
            wrong.append(f"is refused without a page: {what} {answer.content_type}")
        if SCRIPT in text or "mine" in answer.headers.get("Set-Cookie", "") or "evil" in str(answer.headers):
            wrong.append(f"is believed: {what} {answer.headers}")
    return wrong
