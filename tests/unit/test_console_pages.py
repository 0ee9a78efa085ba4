"""What a page is drawn with: addresses to come back to, conventions of the reader, the size of style and script."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from jinja2 import Environment
from starlette.requests import Request

from interaction.console import assets, formats
from interaction.console.browsers import browser_of
from interaction.console.formats import Reader, reader_of
from interaction.console.return_to import own_path, path_of, sign_in_address

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAX_SCRIPT = 40_000


@pytest.mark.parametrize("path", ["/", "/agents", "/agents/support?x=1&y=2", "/runs/run_01", "/knowledge?c=a%20b"])
def test_somebody_comes_back_to_where_they_were(path: str) -> None:
    assert own_path(path) == path
    assert path_of(f"https://mandate.example{path}", "https://mandate.example") == path


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "/..//evil.example",
        "/./evil",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/sign-in?return_to=/sign-in",
        "/signed-in?code=1",
        "/identity/common",
        "/v1/me",
        "/ü",
        "/" + "a" * 3000,
    ],
)
def test_nobody_is_sent_anywhere_else(address: str) -> None:
    assert own_path(address) == "/"
    assert sign_in_address("https://mandate.example", address) == "https://mandate.example/sign-in"


def test_a_form_of_another_site_is_nowhere_to_come_back_to() -> None:
    for referer in (
        "",
        "https://evil.example/agents",
        "https://mandate.example.evil.example/x",
        "https://mandate.example",
    ):
        assert path_of(referer, "https://mandate.example") == "/"


def asked(language: str = "", zone: str = "") -> Reader:
    headers = [(b"accept-language", language.encode()), (b"cookie", f"mandate-zone={zone}".encode())]
    return reader_of(Request({"type": "http", "headers": headers}), NOON, "EUR")


def drawn(template: str, reader: Reader, **values: object) -> str:
    environment = Environment(autoescape=True)
    environment.filters.update(formats.FILTERS)  # pyright: ignore[reportArgumentType, reportCallIssue] - jinja2's are its own
    return environment.from_string(template).render(reader=reader, **values)


def test_money_and_numbers_are_written_as_the_reader_does() -> None:
    template = "{{ 1234567890|money }} {{ 420|money }} {{ 1234567|number }}"
    assert drawn(template, asked("en-GB,de;q=0.5")) == "€1,234.57 €0.00042 1,234,567"
    assert drawn(template, asked("de")).replace("\xa0", " ").endswith("1.234.567")


@pytest.mark.parametrize("language", ["", "*", "xx-YY", "en;q=x", "../../etc", "de" * 999, ",,,"])
def test_a_language_that_nobody_knows_is_english(language: str) -> None:
    assert asked(language).locale.language == "en"


def test_times_are_the_readers_or_marked_as_utc() -> None:
    assert ">Nov 24, 2026, 12:00:00\u202fPM UTC<" in drawn("{{ at|when }}", asked(), at=NOON)
    assert "24.11.2026, 13:00:00<" in drawn("{{ at|when }}", asked("de", "Europe/Berlin"), at=NOON)
    assert "UTC<" in drawn("{{ at|when }}", asked("", "../../../etc/passwd"), at=NOON)
    assert ">3 hours ago<" in drawn("{{ at|ago }}", asked(), at=NOON - timedelta(hours=3))
    assert ">in 2 days<" in drawn("{{ at|ago }}", asked(), at=NOON + timedelta(days=2))


def test_a_browser_is_called_by_one_of_our_names() -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120"
    assert browser_of(agent) == "Edge, Windows"
    assert browser_of("<script>alert(1)</script>") == "other, other"


def test_all_script_together_is_small_and_style_is_too() -> None:
    scripts = [asset.data for name, asset in assets.assets().items() if name.endswith(".js")]
    assert sum(map(len, scripts)) < MAX_SCRIPT
    styles = [asset.data for name, asset in assets.assets().items() if name.endswith(".css")]
    assert sum(len(gzip.compress(style)) for style in styles) < MAX_SCRIPT
