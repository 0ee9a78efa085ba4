"""HTML to Markdown: what a reader of the page would see, and nothing that is fetched from elsewhere."""

import re

from bs4 import BeautifulSoup, Comment, Tag
from bs4.element import PreformattedString
from markdownify import MarkdownConverter

_DROPPED = (
    *(
        "script",
        "style",
        "noscript",
        "template",
        "iframe",
        "frame",
        "object",
        "embed",
        "applet",
        "svg",
        "math",
        "canvas",
    ),
    *("img", "picture", "audio", "video", "source", "link", "meta", "base", "input", "select", "textarea", "button"),
)
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|(?<![\w-])opacity\s*:\s*0*(\.0+)?\s*(;|$)"
    r"|font-size\s*:\s*0*(\.0+)?\s*(px|pt|em|rem|%)?\s*(;|$|!)|text-indent\s*:\s*-\d{3,}|(left|top)\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
_LINKS = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)


def to_markdown(html: str) -> str:
    """Return the page as Markdown; its title is the first heading where it has none of its own."""
    page = BeautifulSoup(html, "html.parser")
    title = page.title.get_text(" ", strip=True) if page.title else ""
    _strip(page)
    if title and page.h1 is None:
        heading = page.new_tag("h1")
        heading.string = title
        page.insert(0, heading)
    converter = MarkdownConverter(
        heading_style="ATX", bullets="-", escape_asterisks=False, escape_underscores=False, table_infer_header=True
    )
    return converter.convert_soup(page)


def _strip(page: BeautifulSoup) -> None:
    for unseen in page.find_all(string=lambda text: isinstance(text, Comment | PreformattedString)):
        unseen.extract()
    for tag in page.find_all(True):
        if not tag.decomposed and (tag.name in _DROPPED or tag.name == "title" or _hidden(tag)):
            tag.decompose()
    for link in page.find_all("a"):
        address = str(link.get("href") or "").strip()
        link.attrs = {"href": address} if _LINKS.match(address) else {}


def _hidden(tag: Tag) -> bool:
    style = str(tag.get("style") or "")
    return tag.has_attr("hidden") or str(tag.get("aria-hidden")).lower() == "true" or bool(_HIDING.search(style))
