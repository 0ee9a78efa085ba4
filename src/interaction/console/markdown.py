"""Markdown that somebody hostile may have written: models, documents. Nothing in it can run, load or mislead a form."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

_CITATION = re.compile(r"\[(\d{1,3})\]")
_HEADINGS_BELOW = 2
_LAST_HEADING = 6


def render_markdown(text: str, targets: Mapping[int, str] | None = None) -> Markup:
    """Return safe HTML.

    HTML in the text is shown, not used; images become links; links lead to http and https only. `[1]` stays text,
    unless `targets` names the address of source 1: ours, never the text's.
    """
    return Markup(_parser().render(text, {"targets": targets or {}}))  # noqa: S704 - html is off, all text is escaped


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    # An image would be fetched from wherever the text says; a reference could turn the mark [1] into its own link.
    parser.disable(["image", "reference", "html_block", "html_inline"])
    parser.validateLink = _leads_to_the_web
    parser.add_render_rule("text", _text)
    parser.add_render_rule("link_open", _link_open)
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    return parser


def _leads_to_the_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, __: Any, env: Mapping[str, Any]) -> str:
    targets: Mapping[int, str] = env["targets"]
    opened = sum((token.type == "link_open") - (token.type == "link_close") for token in tokens[:index])

    def cite(match: re.Match[str]) -> str:
        target = targets.get(int(match[1]))
        if target is None or opened:
            return match[0]
        return f'<a class="citation" href="{escapeHtml(target)}">{match[0]}</a>'

    return _CITATION.sub(cite, escapeHtml(tokens[index].content))


def _link_open(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    tokens[index].attrSet("target", "_blank")
    return renderer.renderToken(tokens, index, options, env)


def _heading(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A text's headings are below those of the page that shows it."""
    level = min(int(tokens[index].tag[1:]) + _HEADINGS_BELOW, _LAST_HEADING)
    tokens[index].tag = f"h{level}"
    return renderer.renderToken(tokens, index, options, env)
