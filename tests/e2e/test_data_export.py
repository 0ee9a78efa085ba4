"""Taking data away over HTTP: the organisation's by its admins, their own by everybody; checked without the product."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import aiohttp
import orjson
import pytest
from commands import SignIn, administrative_acts, mandate

from mandate.client import Client
from mandate.turns import ended

ELIF, MIA, NOOR, SANDER = (f"{name}@alderfinch.example" for name in ("elif", "mia", "noor", "sander"))
REFUND = "Please refund 0.01 EUR for order A-20398 because the pole was late."

pytestmark = pytest.mark.timeout(300)


async def export(session: aiohttp.ClientSession, client: Client, query: str = "") -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {client.token}"}
    async with session.get(f"{client.url}/v1/data/export{query}", headers=headers) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.read()


def runs_of(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of each run, the header without the names that only an archive has."""
    runs: dict[str, list[dict[str, Any]]] = {}
    with ZipFile(file) as zipped, zipped.open("log.jsonl") as log:
        lines: list[dict[str, Any]] = []
        for line in map(orjson.loads, log):
            if "schema" in line:
                del line["names"]
                lines = runs[line["run"]] = []
            lines.append(line)
    return runs


async def refund_approved(client: SignIn) -> str:
    elif_, noor = await client(ELIF), await client(NOOR)
    waiting: Any = await elif_.post("/v1/runs", {"agent": "support", "message": REFUND, "use_knowledge": False})
    decision = {"verdict": "approved", "reason": "The pole was late."}
    await noor.post(f"/v1/approvals/{waiting['pending_approval']['approval']}/decision", decision)
    assert (await ended(elif_, waiting["run"], 60)).state == "completed"
    return waiting["run"]


async def test_an_admin_takes_the_organisations_data_and_checks_it_without_us(
    client: SignIn, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    run, mia = await refund_approved(client), await client(MIA)
    status, media_type, data = await export(session, mia)
    assert (status, media_type) == (200, "application/zip")
    file = tmp_path / "alder.zip"
    file.write_bytes(data)
    async with session.get(
        f"{mia.url}/v1/runs/{run}/export", headers={"Authorization": f"Bearer {mia.token}"}
    ) as answer:
        alone = tmp_path / "run.jsonl"
        alone.write_text(await answer.text())
    header, *events = [orjson.loads(line) for line in alone.read_text().splitlines()]
    covered, key = header.pop("covered"), header.pop("keys")[0]
    assert runs_of(file)[run] == [header, *events]
    assert covered["seq"] == header["events"], "a checkpoint is made before an archive is"
    noted = tmp_path / "key.json"
    noted.write_bytes(orjson.dumps(await mia.get("/v1/evidence/keys")))
    told = await mandate("evidence", "verify", "--export", str(alone), "--key", str(noted))
    assert (told.code, f"Signed by key {key['kid']}: which you noted" in told.output) == (0, True), told.output
    told = await mandate("evidence", "verify", "--export", str(file))
    assert told.code == 0, told.output
    assert f"{len(runs_of(file))} runs, " in told.output
    assert "compare it with the one that you noted" in told.output
    told = await mandate("evidence", "verify", "--export", str(file), "--key", str(noted))
    assert told.code == 0, told.output
    other = {"kty": "EC", "crv": "P-256", "x": key["y"], "y": key["x"]}
    noted.write_bytes(orjson.dumps(other))
    told = await mandate("evidence", "verify", "--export", str(file), "--key", str(noted))
    assert (told.code, "not the one that you noted" in told.output) == (1, True), told.output
    noted.write_text("no key")
    assert (await mandate("evidence", "verify", "--export", str(file), "--key", str(noted))).code == 2
    assert any((kind, version) == ("tenant", "exported") for kind, _, version in await administrative_acts(mia))

    file.write_bytes(data[:-1000])
    told = await mandate("evidence", "verify", "--export", str(file))
    assert (told.code, "no whole archive" in told.output) == (1, True)


async def test_a_member_takes_their_own_and_nothing_else(
    client: SignIn, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    run, elif_, sander = await refund_approved(client), await client(ELIF), await client(SANDER)
    status, media_type, refused = await export(session, elif_)
    assert (status, media_type, orjson.loads(refused)["code"]) == (403, "application/problem+json", "access.role")
    files: dict[str, Path] = {}
    for person in (elif_, sander):
        status, _, data = await export(session, person, "?of=me")
        assert status == 200
        files[person.username] = tmp_path / f"{person.username}.zip"
        files[person.username].write_bytes(data)
    assert run in runs_of(files[ELIF])
    assert run not in runs_of(files[SANDER])
    told = await mandate("evidence", "verify", "--export", str(files[ELIF]))
    assert told.code == 0, told.output
