"""What the store on Azure was asked: how often, for how many bytes, at what charge; by operation and container."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from core import TenantId
from telemetry import meter_store

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.core.rest import AsyncHttpResponse, HttpRequest

BLOBS = "blobs"
"""Stands for Blob Storage where a container is named."""

Label = tuple[str, str]
"""Operation and container."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is being asked, and for whom."""

    name: str
    container: str
    tenant: TenantId


@dataclass(slots=True)
class Usage:
    """Sums since the store was opened. Each attempt counts, refused ones too: the service charges for them.

    Attributes:
        charge: in request units, as the service reports them; an emulator only makes up a number.
    """

    requests: Counter[Label] = field(default_factory=Counter[Label])
    sent: Counter[Label] = field(default_factory=Counter[Label])
    received: Counter[Label] = field(default_factory=Counter[Label])
    charge: dict[Label, float] = field(default_factory=dict[Label, float])

    def add(self, operation: Operation, *, sent: int, received: int, charge: float) -> None:
        label = (operation.name, operation.container)
        self.requests[label] += 1
        self.sent[label] += sent
        self.received[label] += received
        self.charge[label] = self.charge.get(label, 0.0) + charge
        meter_store(
            operation.tenant,
            operation=operation.name,
            container=operation.container,
            bytes_=sent + received,
            charge=charge,
        )


_current: ContextVar[tuple[Usage, Operation] | None] = ContextVar("store_operation", default=None)


@contextmanager
def counted(usage: Usage, operation: Operation) -> Generator[None]:
    """Count every request that is sent within the context as one of `operation`."""
    token = _current.set((usage, operation))
    try:
        yield
    finally:
        _current.reset(token)


def count_response(answer: "PipelineResponse[HttpRequest, AsyncHttpResponse]") -> None:
    """Count a response: given to the SDKs, which call it for each, whatever its status."""
    current = _current.get()
    if current is None:
        return  # the client's own, such as looking for regions
    usage, operation = current
    if operation.container != BLOBS and "/docs" not in urlsplit(answer.http_request.url).path:
        operation = replace(operation, name="metadata")  # what the SDK wants to know first, once per client
    headers = answer.http_response.headers
    length = headers.get("content-length")
    usage.add(
        operation,
        sent=len(cast("bytes | str | None", getattr(answer.http_request, "data", None)) or b""),
        received=int(length) if length else 0,
        charge=float(headers.get("x-ms-request-charge") or 0),
    )
