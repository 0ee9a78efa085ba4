"""The configuration of a process: read again and again, taken if it is good, and otherwise left as it was, and told."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Protocol, TypeVar

from control import CONFIGURATION_KEY, AccessLog, ConfigurationRecord, Flags, contexts
from core import digest
from core.errors import Defect, MandateError, PreconditionFailed
from data import Records
from mandate.configuration.tree import Tree, parse
from telemetry import log, meter_configuration

V = TypeVar("V")

REJECTED, UNREACHABLE = "configuration.rejected", "configuration.unreachable"


class Source(Protocol):
    """Where the tree is. `every` so many seconds it is looked at."""

    every: float

    async def read(self) -> Tree:
        """Return the tree as it is now.

        Raises:
            Defect: it is no tree (`defect.configuration`).
            Unavailable: it cannot be had (`dependency.configuration`).
        """
        ...

    async def aclose(self) -> None: ...


class Configuration:
    """The values that hold in this process.

    At start they are the source's; if those are no good, the last that any process took; if there are none, `fallback`.

    Args:
        source: where they are.
        fallback: a tree that is good: the files of the image.
        records: of the publisher's tenant.
        access: where changes are written down.
        environment: its name.
    """

    def __init__(
        self, source: Source, fallback: Tree, records: Callable[[], Records], access: AccessLog, environment: str
    ) -> None:
        self._source = source
        self._fallback = fallback
        self._records = records
        self._access = access
        self._environment = environment
        self._refused = ""
        self._recorded = ""
        self._take(fallback)
        self.problem = ""
        """Code of what is wrong with the source now; empty if nothing is."""

    def notes(self) -> tuple[str, ...]:
        """Return what `/readyz` says besides: the service works, with the last good values."""
        return (self.problem,) if self.problem else ()

    async def start(self) -> None:
        """Take the values for the first time."""
        if not await self.look():
            with suppress(MandateError):  # the store may not be there yet, which readiness tells
                found = await self._records().get(ConfigurationRecord, CONFIGURATION_KEY)
                if found is not None:
                    self._take(found.value.values)

    async def watch(self) -> None:
        """Look again and again, for as long as the process runs."""
        while True:
            await asyncio.sleep(self._source.every)
            await self.look()

    async def look(self) -> bool:
        """Take what the source has, if it is good; return whether it is."""
        try:
            tree = await self._source.read()
            if version_of(tree) != self.version:
                self._take(tree)
                meter_configuration(contexts.publisher("configuration"), outcome="changed")
        except Defect as error:
            await self._rejected(error)
        except MandateError as error:
            self._told(error, code="configuration.unreachable")
        else:
            self.problem = ""
            with suppress(MandateError):  # the store does not answer: the next look writes it down
                await self._written_down(tree)
        return not self.problem

    async def aclose(self) -> None:
        await self._source.aclose()

    def _take(self, tree: Tree) -> None:
        live = parse(tree)
        self.live, self.version, self.flags = live, version_of(tree), Flags(live.flags)

    async def _written_down(self, tree: Tree) -> None:
        """Record the change, once if it can be: two processes that see it in the same moment both may."""
        if self._recorded == self.version:
            return
        records, context = self._records(), contexts.publisher("configuration")
        found = await records.get(ConfigurationRecord, CONFIGURATION_KEY)
        if found is None or found.value.version != self.version:
            await self._access.admin(context, ConfigurationRecord.kind, self._environment, self.version)
            record = ConfigurationRecord(version=self.version, values=dict(tree))
            with suppress(PreconditionFailed):  # another process has
                await records.put(CONFIGURATION_KEY, record, etag=found.etag if found else None)
        self._recorded = self.version

    async def _rejected(self, error: Defect) -> None:
        if self.problem == REJECTED and self._refused == error.message:
            return
        self._refused = error.message
        self._told(error, code="configuration.rejected")
        with suppress(MandateError):
            context = contexts.publisher("configuration")
            await self._access.admin(context, ConfigurationRecord.kind, self._environment, "rejected")

    def _told(self, error: MandateError, *, code: str) -> None:
        if self.problem == code == UNREACHABLE:
            return
        self.problem = code
        context = contexts.publisher("configuration")
        meter_configuration(context, outcome="rejected" if code == REJECTED else "unreachable")
        event = "the configuration is left as it was"
        log(logging.ERROR, event, context=context, error=error, code=code, version=self.version)


class Current(Mapping[str, V]):
    """A mapping that is what a function returns at the moment: for those who take one and ask it each time."""

    def __init__(self, now: Callable[[], Mapping[str, V]]) -> None:
        self._now = now

    def __getitem__(self, key: str) -> V:
        return self._now()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def version_of(tree: Tree) -> str:
    """Return the hash by which a tree is told from others."""
    return digest(json.dumps(tree, sort_keys=True).encode())[:32]
