"""Reading a page: got as a stranger gets it, its text taken out."""

from html.parser import HTMLParser
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.contract import Refusal, ToolCall

MOST_CHARACTERS = 8000
_UNSEEN = frozenset({"script", "style", "head", "template", "noscript", "svg"})

Url = Annotated[
    str,
    Field(
        pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~-]*)*$",
        max_length=300,
        description="The whole address of the page, exactly as the person gave it, without a query.",
    ),
]


class Page(BaseModel):
    """What a page says. Whoever runs it wrote the text."""

    model_config = ConfigDict(frozen=True)

    text: str
    cut: bool = False


async def read_page(call: ToolCall, url: Url) -> Page | Refusal:
    """Read a public page, such as the status of a carrier, whose address the person gave you.

    Only pages that the organisation has allowed can be read. Changes nothing.
    """
    response = await call.http.read_page(url)
    if response.status != HTTPStatus.OK:
        return Refusal(code="page.unreadable", detail="There is no such page, or it does not answer as a page does.")
    text = _text(response.body.decode("utf-8", "replace"))
    return Page(text=text[:MOST_CHARACTERS], cut=len(text) > MOST_CHARACTERS)


def _text(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return " ".join(" ".join(parser.parts).split())


class _Text(HTMLParser):
    """Gathers what people would see, roughly: what it misses is untrusted like the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser gives them by position and name
        if tag in _UNSEEN:
            self._unseen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            while self._unseen.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)
