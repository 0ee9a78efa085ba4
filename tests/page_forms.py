"""The forms of the console, as its pages show them: what a browser would send, found by following links."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from core import ID_PATTERN

MOST_ALIKE = 3
"""Pages that differ in nothing but ids are looked at so often."""


@dataclass
class Form:
    """Attributes:
    fields: name to value; a control with several is the last one.
    """

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Page(HTMLParser):
    links: list[str] = field(default_factory=list[str])
    forms: list[Form] = field(default_factory=list[Form])
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").upper()))
            self.inside = True
        elif tag in ("input", "textarea", "select", "button") and self.inside and given.get("name"):
            self.forms[-1].fields[given["name"]] = given.get("value") or "warranty"
        elif tag == "option" and self.inside and self.forms[-1].fields:
            last = next(reversed(self.forms[-1].fields))
            self.forms[-1].fields[last] = given.get("value") or self.forms[-1].fields[last]
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "form"


_SHAPE = re.compile(rf"{ID_PATTERN}|\\d+|cursor=[^&]+")


async def crawl(start: str, read: Callable[[str], Awaitable[str]]) -> tuple[list[str], list[Form]]:
    """Return the addresses of all pages that can be reached from `start`, and the forms on them that post."""
    waiting, seen, forms = [start], {start: None}, dict[tuple[str, frozenset[str]], Form]()
    alike: Counter[str] = Counter()
    while waiting:
        page = _Page()
        page.feed(await read(waiting.pop(0)))
        for form in page.forms:
            if form.method == "POST":
                forms[form.action, frozenset(form.fields)] = form
        for link in page.links:
            target = urlsplit(link)._replace(fragment="").geturl()
            is_page = target.startswith("/") and not target.startswith(("/static", "/sign", "/v1", "/openai"))
            if is_page and target not in seen and alike[_SHAPE.sub("", target)] < MOST_ALIKE:
                seen[target] = None
                alike[_SHAPE.sub("", target)] += 1
                waiting.append(target)
    return list(seen), list(forms.values())
