"""`environments/egress.yaml`: what this process may call, and the page that says so. Bicep reads the file too."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from mandate.services import NAMES
from mandate.settings import ROOT
from web import Outbound

FILE = Path("docs") / "egress.md"

PEERS = (*(f"MANDATE_{name.upper()}_URL" for name in NAMES), "MANDATE_ORCHESTRATION_CANDIDATE_URL")
"""Settings that lead to other services of ours."""

_HEAD = """# What is called from within a stamp

Made by `mandate infra egress` from `environments/egress.yaml`; a test holds that the two agree. Nobody edits this page.

Behind a NAT gateway the network lets out whatever is encrypted, and the application alone holds to this list: every
connection of a session is compared with it before it is made, redirects included (`src/web/outbound.py`). The clients
of Cosmos DB, Blob Storage, Key Vault and Application Insights call the one place that their setting names.
With `egress` set to `firewall`, Azure Firewall holds the whole network to the same list, by names.
*Inside* is reached at a private address of the stamp's network, and passes no firewall.
"""


class Destination(BaseModel):
    """One place, or some of a kind; the fields are explained in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str
    who: Literal["services", "platform"]
    settings: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    cloud: tuple[Literal["sign-in"], ...] = ()
    private: bool = False


class Destinations(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    destinations: Mapping[str, Destination]

    @classmethod
    def load(cls, environments: Path) -> "Destinations":
        return cls.model_validate(yaml.safe_load((environments / "egress.yaml").read_text()))

    def outbound(self, environ: Mapping[str, str] = os.environ, *, local: bool = False) -> Outbound:
        """Return what a process may call that was given these settings; one may hold several, with commas between.

        On a laptop (`local`) that is also whatever listens there: emulators, and a source that stands for a customer's.
        """
        ours = [one for one in self.destinations.values() if one.who == "services"]
        names = (*PEERS, *(name for one in ours for name in one.settings))
        urls = (url.strip() for name in names for url in environ.get(name, "").split(","))
        return Outbound.of(urls, (host for one in ours for host in one.hosts), here=local)


def page(root: Path) -> str:
    """Return the page that lists them."""
    return "\n".join([_HEAD, *_rows(Destinations.load(root / "environments"))]) + "\n"


def write() -> int:
    """Write the page anew."""
    (ROOT / FILE).write_text(page(ROOT), encoding="utf-8")
    print(f"{FILE} is written.")
    return 0


def _rows(listed: Destinations) -> Iterator[str]:
    yield from ("| Name | What for | Who calls | Where |", "|---|---|---|---|")
    for name, one in listed.destinations.items():
        where = [*(f"`{setting}`" for setting in one.settings), *(f"`{host}`" for host in one.hosts)]
        where += [f"the cloud's own {host}" for host in one.cloud]
        place = ", ".join(where) + (" (inside)" if one.private else "")
        yield f"| {name} | {one.why} | {one.who} | {place} |"
