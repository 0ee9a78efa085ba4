"""`mandate evidence verify --export`: an archive, or one run's evidence, checked offline, from nothing but itself."""

import asyncio
import base64
import binascii
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from zipfile import BadZipFile, ZipFile

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape

from core import commitment
from data import (
    CheckpointLine,
    EventLine,
    Keys,
    PublicKey,
    RunHeader,
    Seal,
    Walk,
    check_inclusion,
    refuse_seal,
    verify_run,
)
from orchestration import MANIFEST, SEAL, Manifest

console = Console()

_UNREADABLE = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What `zipfile` raises of a stranger's archive, in this order: it is no zip or its sums are wrong; a piece of it
is damaged, is cut off, lies outside of the file, is packed in an unknown way, is encrypted (`RuntimeError`)."""

_UNPARSABLE = (ValidationError, binascii.Error, UnicodeError)


_JSON = TypeAdapter(dict[str, object])


class _Piece(BaseModel):
    """A line of `content.jsonl`, as far as it is checked."""

    id: str
    commitment: str
    key: str
    base64: str


@dataclass(slots=True)
class Findings:
    """What became of checking an archive.

    Attributes:
        broken: what does not hold, the first first.
        told: how many runs, events, checkpoints and pieces of content hold; `newer` events came after the last
            checkpoint, `missing` content is pointed to, and not in there.
        key: `kid` of the key that vouches for it.
    """

    broken: list[str] = field(default_factory=list[str])
    told: Counter[str] = field(default_factory=Counter[str])
    key: str = ""


async def verify_export(file: Path, pinned: Sequence[PublicKey] = ()) -> int:
    """Check an archive or a run's evidence, say what does not hold in it; 0 if all does, 1 otherwise."""
    findings = await asyncio.to_thread(check_run if file.suffix == ".jsonl" else check, file, pinned)
    for broken in findings.broken:
        console.print(f"[red]broken[/red]  {escape(broken)}", soft_wrap=True)
    told = findings.told
    console.print(
        f"{told['runs']} runs, {told['events']} events that hold, {told['pieces']} pieces of content that match"
    )
    console.print(f"{told['missing']} that are pointed to are not in it: erased, past their time, or somebody else's")
    console.print(f"{told['checkpoints']} checkpoints; {told['newer']} events are newer than the last of them")
    about = "which you noted" if pinned else "compare it with the one that you noted, or give it with --key"
    console.print(f"Signed by key {findings.key or 'none'}: {about}", soft_wrap=True)
    return 1 if findings.broken else 0


def check(file: Path, pinned: Sequence[PublicKey] = ()) -> Findings:
    """Check every entry against the manifest, every chain and checkpoint, every piece of content."""
    try:
        with ZipFile(file) as zipped:
            told = zipped.read(MANIFEST)
            checking = _Checking(Manifest.model_validate_json(told), _seal(zipped), told, pinned)
            checking.all(zipped)
            return checking.findings
    except (KeyError, ValidationError):
        return Findings([f"{MANIFEST}: it is missing, or not as it was written"])
    except _UNREADABLE:
        return Findings([f"{file.name}: it is no whole archive"])


def check_run(file: Path, pinned: Sequence[PublicKey] = ()) -> Findings:
    """Check the evidence of one run, which was taken alone."""
    try:
        first, *lines = file.read_bytes().splitlines()
        header = RunHeader.model_validate_json(first)
        events = [EventLine.model_validate_json(line) for line in lines]
    except (*_UNPARSABLE, ValueError, OSError):
        return Findings([f"{file.name}: it is neither an archive nor a run's evidence as it was written"])
    checks = _Runs(header.tenant, Findings(), keys_of(header.keys, pinned), None)
    checks.run(header, events)
    checks.findings.key = checks.keys.met
    return checks.findings


def keys_of(known: Sequence[PublicKey], pinned: Sequence[PublicKey]) -> Keys:
    return Keys({key.kid: key for key in (*known, *pinned)}, frozenset(key.kid for key in pinned))


def read_keys(file: Path) -> list[PublicKey]:
    """Return the public keys of a file: one, or a set of them, as `GET /v1/evidence/keys` gives it.

    Raises:
        ValueError: there are none in it.
    """
    read = _JSON.validate_json(file.read_bytes())
    return TypeAdapter(list[PublicKey]).validate_python(read.get("keys", [read]))


def _seal(zipped: ZipFile) -> Seal | None:
    try:
        return Seal.model_validate_json(zipped.read(SEAL))
    except (KeyError, ValidationError):
        return None


@dataclass(slots=True)
class _Runs:
    """Checks runs; `walk` is that of a tenant's checkpoints, None where each run comes with its own."""

    tenant: str
    findings: Findings
    keys: Keys
    walk: Walk | None

    def run(self, header: RunHeader, events: Sequence[EventLine]) -> int:
        """Check a run, and return how many of its events hold."""
        raws, broken = [event.raw for event in events], self.findings.broken
        verdict = verify_run(header.tenant, header.run, raws)
        self.findings.told.update(runs=1, events=verdict.events)
        if header.tenant != self.tenant:
            broken.append(f"{header.run}: it is of another organisation")
        if verdict.broken:
            broken.append(f"{header.run} event {verdict.events + 1}: {verdict.broken.value}")
        elif (header.events, header.head) != (len(raws), raws[-1].hash):
            broken.append(f"{header.run} event {len(raws) + 1}: it is missing, or the head is another")
        if self.walk:
            broken += self.walk.run(header.run, raws)
        elif header.covered:
            broken += check_inclusion(header.tenant, header.run, header.covered, raws, self.keys)
            self.findings.told.update(newer=max(0, len(raws) - header.covered.seq))
        else:
            self.findings.told.update(newer=len(raws))
        return verdict.events


class _Checking:
    def __init__(self, manifest: Manifest, seal: Seal | None, told: bytes, pinned: Sequence[PublicKey]) -> None:
        self.findings = Findings()
        self._manifest = manifest
        self._keys = keys_of(seal.keys if seal else (), pinned)
        self._vouched = None
        if seal is None:
            self._broken(f"{SEAL}: it is missing, or not as it was written")
        else:
            self._vouched, why = refuse_seal(seal, manifest.tenant, told, self._keys)
            if why:
                self._broken(f"{SEAL}: {why}")
        self._walk = None if manifest.person else Walk(manifest.tenant, self._keys)
        self._runs = _Runs(manifest.tenant, self.findings, self._keys, self._walk)
        self._content: dict[str, str] = {}
        self._pointers: dict[str, tuple[str, str]] = {}
        self._header: RunHeader | None = None
        self._events: list[EventLine] = []
        self._readers = {"evidence.jsonl": self._checkpoint, "log.jsonl": self._log, "content.jsonl": self._piece}

    def all(self, zipped: ZipFile) -> None:
        names = Counter(zipped.namelist())
        listed = self._manifest.entries.keys() | {MANIFEST, SEAL}
        for name in sorted(names.keys() | listed):
            if name not in listed or names[name] != 1:
                self._broken(f"{name}: it is not exactly once in the archive and in the manifest")
        for name in self._manifest.entries:
            if name in names:
                self._entry(zipped, name)
        if self._walk:
            if self._vouched:
                self.findings.broken += self._walk.is_here(self._vouched.number, self._vouched.checkpoint)
            self.findings.broken += self._walk.missing()
            self.findings.told["newer"] += self._walk.newer
        self._compare()
        self.findings.key = self._keys.met

    def _entry(self, zipped: ZipFile, name: str) -> None:
        read = self._readers.get(name, self._other)
        hashed, lines, size = hashlib.sha256(), 0, 0
        try:
            for line in _lines(zipped, name):
                hashed.update(line)
                lines, size = lines + 1, size + len(line)
                self._line(read, line, f"{name} line {lines}")
        except _UNREADABLE:
            self._broken(f"{name}: it cannot be unpacked behind line {lines}")
        self._run_ends()
        entry = self._manifest.entries[name]
        if (hashed.hexdigest(), lines, size) != (entry.sha256, entry.lines, entry.bytes):
            self._broken(f"{name}: it is not what the manifest says")

    def _line(self, read: Callable[[bytes], None], line: bytes, where: str) -> None:
        try:
            read(line)
        except _UNPARSABLE:
            self._broken(f"{where}: it is not as it was written")

    def _checkpoint(self, line: bytes) -> None:
        told = CheckpointLine.model_validate_json(line)
        if self._walk:
            self.findings.broken += self._walk.checkpoint(told.number, told.signed, told.changes)
            self.findings.told["checkpoints"] += 1

    def _log(self, line: bytes) -> None:
        if "schema" in _JSON.validate_json(line):
            self._run_ends()
            self._header = RunHeader.model_validate_json(line)
        else:
            self._events.append(EventLine.model_validate_json(line))

    def _run_ends(self) -> None:
        """Check the run whose events were read."""
        header, events, self._header, self._events = self._header, self._events, None, []
        if header is None:
            if events:
                self._broken("log.jsonl: there are events without a run")
            return
        for event in events[: self._runs.run(header, events)]:
            self._points(orjson.loads(event.raw.data), f"{header.run} event {event.seq}")

    def _piece(self, line: bytes) -> None:
        piece = _Piece.model_validate_json(line)
        made = commitment(base64.b64decode(piece.key), base64.b64decode(piece.base64))
        self._content[piece.id] = made
        if made != piece.commitment:
            self._broken(f"content {piece.id}: its bytes are not those that its commitment was made of")

    def _other(self, line: bytes) -> None:
        value = _JSON.validate_json(line)
        self._points(value, f"record {value.get('kind')} {value.get('key')}")

    def _points(self, value: object, where: str) -> None:
        for id_, committed in _references(value):
            known, _ = self._pointers.setdefault(id_, (committed, where))
            if known != committed:
                self._broken(f"content {id_}: {where} commits to other bytes than what pointed to it before")

    def _compare(self) -> None:
        for id_, (committed, where) in self._pointers.items():
            made = self._content.get(id_)
            self.findings.told["missing" if made is None else "pieces"] += 1
            if made not in (None, committed):
                self._broken(f"content {id_}: its bytes are not those that {where} commits to")

    def _broken(self, what: str) -> None:
        self.findings.broken.append(what)


def _lines(zipped: ZipFile, name: str) -> Iterator[bytes]:
    with zipped.open(name) as entry:
        yield from entry


def _references(value: object) -> Iterator[tuple[str, str]]:
    """Yield id and commitment of every piece of content that a value points to."""
    match value:
        case {"id": str(id_), "commitment": str(committed), "kind": str()}:
            yield id_, committed
        case dict():
            for inner in cast("dict[str, object]", value).values():
                yield from _references(inner)
        case list():
            for inner in cast("list[object]", value):
                yield from _references(inner)
        case _:
            pass
