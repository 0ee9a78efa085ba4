"""An archive has all that is the tenant's or the person's and nothing of anybody else's; a change in it shows."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import orjson
from governed_world import Governed, eraser_of

from control import ErasureRecord
from core import PrincipalId, SystemClock, new_id
from data import Projector, Store, read_raw
from mandate.exports import check
from orchestration import STORES, Exporting, archive

ENTRIES = [f"{store.name}.jsonl" for store in STORES if store.archives]


async def taken(one: Governed, folder: Path, person: PrincipalId | None = None) -> Path:
    await Projector(one.store.platform).catch_up()
    file = folder / f"{person or one.tenant}.zip"
    with file.open("wb") as target:
        async for piece in archive(Exporting(one.store, one.context, person), SystemClock()):
            target.write(piece)
    return file


async def erasure(one: Governed) -> ErasureRecord:
    """Have something written down as to be erased that is not there."""
    erasures = eraser_of(one.store).erasures
    return await erasures.request(one.tenant, "document", new_id("doc"), one.context.principal.actor)


def unpacked(file: Path) -> dict[str, bytes]:
    with ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def lines(entry: bytes) -> list[dict[str, str]]:
    return [orjson.loads(line) for line in entry.splitlines()]


def words(file: Path) -> str:
    """Return all that somebody finds who looks: the bytes of content too."""
    entries = unpacked(file)
    said = [base64.b64decode(line["base64"]) for line in lines(entries["content.jsonl"])]
    return b"\n".join([*entries.values(), *said]).decode()


def packed(file: Path, entries: Mapping[str, bytes]) -> Path:
    with ZipFile(file, "w", ZIP_DEFLATED) as zipped:
        for name, data in entries.items():
            zipped.writestr(name, data)
    return file


def agreeing(entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the entries with a manifest that says what is in them."""
    manifest = orjson.loads(entries["manifest.json"])
    for name, told in manifest["entries"].items():
        data = entries[name]
        told |= {"lines": data.count(b"\n"), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {**entries, "manifest.json": orjson.dumps(manifest)}


async def test_an_archive_has_all_that_is_the_tenants_and_nothing_of_another(store: Store, tmp_path: Path) -> None:
    ours, theirs = await Governed(store).fill(), await Governed(store).fill()
    erasures = [await erasure(one) for one in (ours, theirs)]
    file = await taken(ours, tmp_path)
    found = words(file)
    assert [name for name, word in vars(ours.words).items() if word not in found] == []
    assert [word for word in [*theirs.words.all(), theirs.tenant, theirs.person] if word in found] == []
    entries = unpacked(file)
    assert [line["key"] for line in lines(entries["erasures.jsonl"])] == [erasures[0].key]
    assert orjson.loads(entries["manifest.json"])["tenant"] == ours.tenant
    assert list(entries) == [*ENTRIES, "manifest.json"]
    assert all(entries[name] for name in ENTRIES)
    events = [line["data"].encode() for line in lines(entries["log.jsonl"]) if "data" in line]
    for run in (ours.ended, ours.running, ours.parked):
        assert {event.data for event in await read_raw(ours.data, run)} <= set(events)
    assert len(lines(entries["knowledge.jsonl"])) == 40
    checked = check(file)
    assert checked.broken == []
    assert checked.told["events"] == len(events)
    assert checked.told["missing"] == 0


async def test_a_persons_archive_has_what_is_theirs_alone(store: Store, tmp_path: Path) -> None:
    ours = await Governed(store).fill()
    colleague = Governed(store, tenant=ours.tenant)
    await colleague.bring()
    file = await taken(ours, tmp_path, ours.person)
    found = words(file)
    for said in (ours.words.question, ours.words.answer, ours.words.email, ours.words.reason, ours.words.correlation):
        assert said in found
    assert [word for word in colleague.words.all() if word in found] == []
    kinds = {line["kind"] for line in lines(unpacked(file)["records.jsonl"])}
    assert kinds == {"conversation", "document", "member", "person"}
    assert check(file).broken == []
    theirs = await taken(ours, tmp_path, colleague.person)
    assert colleague.words.title in words(theirs)
    assert [word for word in ours.words.all() if word in words(theirs)] == []


async def test_whatever_is_changed_or_left_out_of_an_archive_is_found(store: Store, tmp_path: Path) -> None:
    entries = unpacked(await taken(await Governed(store).fill(), tmp_path))
    file = tmp_path / "changed.zip"
    assert check(packed(file, entries)).broken == []
    for name, data in entries.items():
        if data:
            middle = data.index(b":") - 2
            flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            assert any(name in broken for broken in check(packed(file, {**entries, name: flipped})).broken), name
        others = {other: kept for other, kept in entries.items() if other != name}
        assert any(name in broken for broken in check(packed(file, others)).broken), name
    assert check(packed(file, {**entries, "more.jsonl": b""})).broken[0].startswith("more.jsonl")
    file.write_bytes(packed(file, entries).read_bytes()[:-100])
    assert check(file).broken == ["changed.zip: it is no whole archive"]


async def test_a_change_that_the_manifest_agrees_with_is_found_and_named(store: Store, tmp_path: Path) -> None:
    ours = await Governed(store).fill()
    entries = unpacked(await taken(ours, tmp_path))
    file = tmp_path / "changed.zip"

    log = entries["log.jsonl"].replace(b'\\"type\\":\\"answer_given\\"', b'\\"type\\":\\"answer_giveN\\"', 1)
    changed = check(packed(file, agreeing({**entries, "log.jsonl": log})))
    assert changed.broken[0].startswith(f"{ours.ended} event 4: its bytes are not")

    cut = b"".join(line for line in entries["log.jsonl"].splitlines(keepends=True) if b"run_ended" not in line)
    changed = check(packed(file, agreeing({**entries, "log.jsonl": cut})))
    assert changed.broken == [f"{ours.ended} event 5: it is missing, or the head is another"]

    content = lines(entries["content.jsonl"])
    piece = next(one for one in content if ours.words.answer.encode() in base64.b64decode(one["base64"]))
    data = base64.b64decode(piece["base64"]).replace(b"canary", b"Canary")
    piece["base64"] = base64.b64encode(data).decode()
    told = b"".join(orjson.dumps(one) + b"\n" for one in content)
    changed = check(packed(file, agreeing({**entries, "content.jsonl": told})))
    assert changed.broken[0] == f"content {piece['id']}: its bytes are not those that its commitment was made of"
    assert changed.broken[1] == f"content {piece['id']}: its bytes are not those that {ours.ended} event 4 commits to"
