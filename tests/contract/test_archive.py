"""An archive has all that is the tenant's or the person's and nothing of anybody else's; a change in it shows."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import orjson
from evidence_world import Vouched
from evidence_world import resealed as rewritten
from governed_world import Governed, eraser_of

from control import ErasureRecord
from core import PrincipalId, SystemClock, digest, new_id
from data import EventLine, Projector, RawEvent, Seal, SealStatement, Signed, Store, export_of, read_raw, tree_of
from data.notary import LocalSigner
from mandate.exports import check, check_run
from orchestration import MANIFEST, SEAL, STORES, Exporting, Sealer, archive

ENTRIES = [f"{store.name}.jsonl" for store in STORES if store.archives]


async def taken(one: Governed, folder: Path, person: PrincipalId | None = None) -> Path:
    await Projector(one.store.platform).catch_up()
    vouched = Vouched.over(one.store, folder, one.context)
    await vouched.make_due()
    sealer = Sealer(one.store, vouched.signer, vouched.anchor, vouched.clock)

    async def vouch(manifest: str) -> bytes:
        return (await sealer.seal(one.context, manifest)).model_dump_json().encode()

    file = folder / f"{person or one.tenant}.zip"
    with file.open("wb") as target:
        async for piece in archive(Exporting(one.store, one.context, person), SystemClock(), vouch):
            target.write(piece)
    return file


async def resealed(entries: Mapping[str, bytes], signer: LocalSigner) -> dict[str, bytes]:
    """Return the entries with a manifest that says what is in them, vouched for by this key."""
    told = agreeing(entries)
    seal = Seal.model_validate_json(told[SEAL])
    statement = SealStatement.model_validate_json(seal.signed.statement)
    statement = statement.model_copy(update={"manifest": digest(told[MANIFEST])})
    key = await signer.key()
    forged = Seal(signed=await Signed.by(signer, statement.canonical()), keys=(*seal.keys, key))
    return {**told, SEAL: forged.model_dump_json().encode()}


async def erasure(one: Governed) -> ErasureRecord:
    """Have something written down as to be erased that is not there."""
    erasures = eraser_of(one.store).erasures
    return await erasures.request(one.tenant, "document", new_id("doc"), one.context.principal.actor)


def unpacked(file: Path) -> dict[str, bytes]:
    with ZipFile(file) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def entries_of_evidence(file: Path) -> bytes:
    return unpacked(file)["evidence.jsonl"]


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
    assert list(entries) == [*ENTRIES, MANIFEST, SEAL]
    assert all(entries[name] for name in ENTRIES)
    events = [line["data"].encode() for line in lines(entries["log.jsonl"]) if "data" in line]
    for run in (ours.ended, ours.running, ours.parked):
        assert {event.data for event in await read_raw(ours.data, run)} <= set(events)
    assert len(lines(entries["knowledge.jsonl"])) == 40
    checked = check(file)
    assert checked.broken == []
    assert checked.told["events"] == len(events)
    assert checked.told["missing"] == 0
    assert (checked.told["checkpoints"], checked.told["newer"]) == (1, 0)


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
    assert (check(file).broken, check(file).told["newer"]) == ([], 0)
    assert entries_of_evidence(file) == b""
    assert {line["run"] for line in lines(unpacked(file)["log.jsonl"]) if "covered" in line} >= {
        ours.ended,
        ours.parked,
    }
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
    file, signer = tmp_path / "changed.zip", LocalSigner(tmp_path / "key.pem")

    log = entries["log.jsonl"].replace(b'\\"type\\":\\"answer_given\\"', b'\\"type\\":\\"answer_giveN\\"', 1)
    changed = check(packed(file, await resealed({**entries, "log.jsonl": log}, signer)))
    assert changed.broken[0].startswith(f"{ours.ended} event 4: its bytes are not")

    cut = b"".join(line for line in entries["log.jsonl"].splitlines(keepends=True) if b"run_ended" not in line)
    changed = check(packed(file, await resealed({**entries, "log.jsonl": cut}, signer)))
    assert changed.broken[0] == f"{ours.ended} event 5: it is missing, or the head is another"

    content = lines(entries["content.jsonl"])
    piece = next(one for one in content if ours.words.answer.encode() in base64.b64decode(one["base64"]))
    data = base64.b64decode(piece["base64"]).replace(b"canary", b"Canary")
    piece["base64"] = base64.b64encode(data).decode()
    told = b"".join(orjson.dumps(one) + b"\n" for one in content)
    changed = check(packed(file, await resealed({**entries, "content.jsonl": told}, signer)))
    assert changed.broken[0] == f"content {piece['id']}: its bytes are not those that its commitment was made of"
    assert changed.broken[1] == f"content {piece['id']}: its bytes are not those that {ours.ended} event 4 commits to"


async def test_what_the_manifest_hides_the_checkpoints_show(store: Store, tmp_path: Path) -> None:
    ours = await Governed(store).fill()
    entries = unpacked(await taken(ours, tmp_path))
    file, signer, thief = (
        tmp_path / "changed.zip",
        LocalSigner(tmp_path / "key.pem"),
        LocalSigner(tmp_path / "thief.pem"),
    )

    async def first(log: Sequence[bytes], **changes: bytes) -> str:
        changed = {**entries, "log.jsonl": b"".join(log), **{f"{name}.jsonl": data for name, data in changes.items()}}
        return check(packed(file, await resealed(changed, signer))).broken[0]

    log = entries["log.jsonl"].splitlines(keepends=True)
    assert check(packed(file, await resealed(entries, signer))).broken == []
    start = next(place for place, line in enumerate(log) if b'"schema"' in line and ours.ended.encode() in line)
    header, run = orjson.loads(log[start]), log[start + 1 : start + 6]
    assert len(run) == header["events"] == 5
    rest = [*log[:start], *log[start + 6 :]]
    assert await first(rest) == f"{ours.ended}: the whole run is missing: a checkpoint covers it"
    shorter = orjson.dumps({**header, "events": 4, "head": orjson.loads(run[3])["hash"]}) + b"\n"
    assert await first([*rest, shorter, *run[:4]]) == (
        f"{ours.ended} event 5: it is missing: a checkpoint covers up to event 5"
    )
    assert await first([*rest, log[start], run[1], run[0], *run[2:]]) == (
        f"{ours.ended} event 1: its sequence number is not the next"
    )
    raws = [EventLine.model_validate_json(line).raw for line in run]
    forged = rewritten(raws, 2, raws[2].data.replace(b'"duration_ms":1', b'"duration_ms":2'))
    told = export_of(ours.tenant, ours.ended, forged).encode()
    assert await first([*rest, told]) == (
        f"{ours.ended} event 5: it is another than a checkpoint covers: the run was written anew"
    )
    assert await first(log, evidence=b"") == (
        "checkpoint 1: it was anchored, and is missing here or another: checkpoints were cut off"
    )

    theirs = check(packed(file, await resealed(entries, thief))).broken
    assert theirs[0].startswith("checkpoint 1: it is signed by another key than what came before it")
    own = [await signer.key()]
    assert check(packed(file, await resealed(entries, thief)), own).broken[0].endswith("not the one that you noted")
    assert check(packed(file, entries), own).broken == []
    assert check(packed(file, entries), [await thief.key()]).broken[0].endswith("not the one that you noted")
    without = {name: data for name, data in entries.items() if name != SEAL}
    assert check(packed(file, without)).broken[0] == f"{SEAL}: it is missing, or not as it was written"
    assert check(packed(file, agreeing(entries))).broken[0] == f"{SEAL}: it vouches for another manifest"


async def test_a_runs_evidence_alone_verifies_against_its_checkpoint(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    run = await ours.append(events=3)
    await ours.append()
    await ours.checkpointer.make()
    await ours.append(run, events=1)
    data, own = store.tenant(ours.context), await ours.signer.key()
    tree, events = await tree_of(data), await read_raw(data, run)
    assert tree is not None
    file = tmp_path / "run.jsonl"

    def told(events: Sequence[RawEvent]) -> Path:
        file.write_text(export_of(ours.tenant, run, events, covered=tree.inclusion(run), keys=[own]))
        return file

    checked = check_run(told(events), [own])
    assert (checked.broken, checked.told["newer"], checked.key) == ([], 1, own.kid)
    assert check_run(told(events[:2])).broken == [
        f"{run} event 3: it is missing: a checkpoint covers the run up to event 3"
    ]
    forged = rewritten(events, 1, events[1].data.replace(b'"step":1', b'"step":2'))
    assert check_run(told(forged)).broken == [f"{run} event 3: it is another than the one that a checkpoint covers"]
    thief = await LocalSigner(tmp_path / "thief.pem").key()
    assert check_run(told(events), [thief]).broken[0].endswith("which is not the one that you noted")
    file.write_bytes(b"not even JSON")
    assert check_run(file).broken == ["run.jsonl: it is neither an archive nor a run's evidence as it was written"]
