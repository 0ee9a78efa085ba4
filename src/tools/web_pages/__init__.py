"""The tool that reads a page: the one read that carries what it is given outwards, so that it is treated as such."""

from collections.abc import Sequence

from core import Confidentiality, Effect
from tools.contract import Tool, tool
from tools.web_pages.reading_pages import read_page

__all__ = ["web_page_tools"]


def web_page_tools() -> Sequence[Tool]:
    """Return the tools that read pages; which ones may be read is for `Egress` to say."""
    return (
        tool(
            effect=Effect.READ,
            reversible=True,
            egress=True,
            consequence="Reads the page {url}. Whoever runs it learns the address that is asked for.",
            result_confidentiality=Confidentiality.PUBLIC,
            ceiling=Confidentiality.INTERNAL,
            named=("page", "site", "website", "link"),
        )(read_page),
    )
