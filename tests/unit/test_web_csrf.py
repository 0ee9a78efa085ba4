"""Cross-site request forgery: a cookie alone changes nothing."""

from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.types import Message

from core.errors import Forbidden
from web import check_csrf

OURS = "https://mandate.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}
GOOD = {"mandate-csrf": "right", "sec-fetch-site": "same-origin", "origin": OURS}


def request(headers: dict[str, str], method: str = "POST", body: bytes = b"") -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw}, receive)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_page_of_ours_may_change_something(method: str) -> None:
    await check_csrf(request(GOOD, method), "right", OURS)
    await check_csrf(request({"mandate-csrf": "right"}, method), "right", OURS)


async def test_a_form_of_ours_may_too() -> None:
    body = urlencode({"other": "x", "csrf": "right"}).encode()
    await check_csrf(request({**FORM, "origin": OURS}, body=body), "right", OURS)


async def test_reading_needs_no_token() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        await check_csrf(request({"sec-fetch-site": "cross-site"}, method), "right", OURS)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**GOOD, "mandate-csrf": ""},
        {**GOOD, "mandate-csrf": "wrong"},
        {**GOOD, "mandate-csrf": "righ"},
        {**GOOD, "mandate-csrf": "rigHt"},
        {**GOOD, "sec-fetch-site": "cross-site"},
        {**GOOD, "sec-fetch-site": "same-site"},
        {**GOOD, "sec-fetch-site": "none"},
        {**GOOD, "origin": "https://evil.example"},
        {**GOOD, "origin": "null"},
        {**GOOD, "origin": "http://mandate.example"},
        {**FORM, "origin": OURS},
    ],
)
async def test_anything_less_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden) as caught:
        await check_csrf(request(headers), "right", OURS)
    assert caught.value.code == "identity.csrf"


@pytest.mark.parametrize("body", [b"", b"csrf=", b"csrf=wrong", b"csrf=wrong&csrf=other", b"\xff\xfe=%"])
async def test_a_form_with_another_token_is_refused(body: bytes) -> None:
    with pytest.raises(Forbidden):
        await check_csrf(request(FORM, body=body), "right", OURS)
