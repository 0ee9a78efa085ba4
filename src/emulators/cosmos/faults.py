"""Faults on demand (rule 14): a test orders them, the next requests that fit meet them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulators.cosmos.errors import bad

Operation = Literal[
    "account", "database", "container", "throughput", "pkranges",
    "create", "upsert", "read", "replace", "patch", "delete", "batch", "query", "changes", "items",
]  # fmt: skip
"""What a request does, as faults and counts call it."""


class Fault(BaseModel):
    """What shall go wrong.

    Attributes:
        status: answer with this.
        substatus: of the answer.
        retry_after_ms: of the answer; a 429 may come without.
        after: do what was asked first, so that only the answer is lost.
        drop: close the connection without a word.
        hang: seconds to keep silent before anything else of this fault, 0 for none.
        rows: let a query's page have no more rows than this; 0 for an empty page that has a continuation.
        operation: only requests of this kind; empty for all.
        container: only requests to the container of this name; empty for all.
        skip: let this many fitting requests pass first.
        times: strike this often, 0 for ever.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    substatus: int = 0
    retry_after_ms: Annotated[int, Field(ge=0)] | None = None
    after: bool = False
    drop: bool = False
    hang: Annotated[float, Field(ge=0, le=600)] = 0.0
    rows: Annotated[int, Field(ge=0)] | None = None
    operation: Operation | Literal[""] = ""
    container: str = ""
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=0)] = 1


@dataclass(slots=True)
class _Standing:
    fault: Fault
    met: int = 0

    def strikes(self, operation: str, container: str) -> bool:
        fault = self.fault
        if fault.operation not in ("", operation) or fault.container not in ("", container):
            return False
        self.met += 1
        return self.met > fault.skip and (not fault.times or self.met <= fault.skip + fault.times)


class Faults:
    """The faults in force, in the order in which they were ordered; the first that fits strikes."""

    def __init__(self) -> None:
        self._standing: list[_Standing] = []

    def order(self, fault: Fault) -> None:
        self._standing.append(_Standing(fault))

    def clear(self) -> None:
        self._standing.clear()

    def take(self, operation: str, container: str) -> Fault | None:
        """Return the fault that strikes this request."""
        return next((entry.fault for entry in self._standing if entry.strikes(operation, container)), None)


def read_fault(body: bytes) -> Fault:
    """Read a fault.

    Raises:
        CosmosError: 400.
    """
    try:
        return Fault.model_validate_json(body)
    except ValidationError as error:
        raise bad(f"This is no fault: {error}") from error
