"""Where a process may call: every connection of a session is held to a list, whoever asks for it."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from core.errors import Defect

_HTTPS = 443
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Outbound:
    """The places that may be called.

    Attributes:
        origins: scheme, host and port, compared as written.
        hosts: by name, with https at its usual port; `*.name` stands for everything below a name, not for itself.
        here: also whatever listens on this machine, as on a laptop.
    """

    origins: frozenset[URL]
    hosts: frozenset[str] = frozenset()
    here: bool = False

    @classmethod
    def of(cls, urls: Iterable[str], hosts: Iterable[str] = (), *, here: bool = False) -> "Outbound":
        """Return the places that addresses are at; what is no http or https address is passed over."""
        parsed = (URL(url) for url in urls if url.startswith(("http://", "https://")))
        return cls(frozenset(url.origin() for url in parsed if url.host), frozenset(hosts), here)

    def allows(self, url: URL) -> bool:
        if url.with_user(None).origin() in self.origins:
            return True
        host = (url.host or "").lower()
        if self.here and host in _HERE:
            return True
        below = {f"*.{host.split('.', count)[count]}" for count in range(1, host.count(".") + 1)}
        return url.scheme == "https" and url.port == _HTTPS and not self.hosts.isdisjoint({host, *below})


class OutboundConnector(aiohttp.TCPConnector):
    """Connects to what is allowed, redirects included.

    Args:
        outbound: what is.
        tls: whom to trust.
        keepalive_seconds: how long an idle connection is kept.
        limit: connections at a time; 0 for no bound.
    """

    def __init__(self, outbound: Outbound, *, tls: ssl.SSLContext, keepalive_seconds: float, limit: int = 100) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - a parameter of it that is not used here
            ssl=tls, keepalive_timeout=keepalive_seconds, limit=limit
        )
        self._outbound = outbound

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        """See aiohttp.

        Raises:
            Defect: the place is not allowed (`defect.egress`); nothing was sent.
        """
        if not self._outbound.allows(req.url):
            message = "This process may not call there: environments/egress.yaml names neither host nor setting."
            raise Defect(message, code="defect.egress")
        return await super().connect(req, traces, timeout)
