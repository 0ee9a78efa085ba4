"""App Configuration, through Microsoft's unmodified provider and client, against the emulator over HTTPS."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import aiohttp
import pytest
import yaml
from azure.core.credentials import AccessToken
from typer.testing import CliRunner

from core.errors import Conflict, Forbidden, NotFound, Unavailable
from emulators.app_configuration import Store
from emulators.authority import LocalAuthority
from identity_live import serving
from mandate.cli import app
from mandate.configuration import app_configuration, loading
from mandate.configuration.app_configuration import AppConfiguration
from mandate.configuration.candidate import candidate_to
from mandate.configuration.files import Files
from mandate.configuration.tree import parse
from mandate.settings import ROOT

FLAG = {"id": "newer-model", "description": "A newer model answers.", "enabled": True}


class Credential:
    """A credential without an identity provider; its token says what it may."""

    may = "write"

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == ("https://appconfig.azure.com/.default",)
        return AccessToken(self.may, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None: ...


def made(_: str) -> Credential:
    return Credential()


async def authorize(token: str, method: str) -> None:
    if token != "write" and method != "GET":
        raise Forbidden("This token may only read.")


@dataclass
class Place:
    url: str
    ca_file: Path
    folder: Path

    def source(self, image: Path | None = None) -> AppConfiguration:
        return AppConfiguration(self.url, "", Files(image or self.folder, "dev"), "dev", self.ca_file)

    async def load(self, name: str = "dev") -> loading.Loaded:
        return await loading.load(self.folder, name, self.url, "", self.ca_file)

    def write(self, name: str, **values: Any) -> None:
        (self.folder / "dev" / name).write_text(yaml.safe_dump(values))


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Place]:
    monkeypatch.setattr(loading, "make_credential", made)
    monkeypatch.setattr(app_configuration, "make_credential", made)
    monkeypatch.setattr(app_configuration, "REFRESH_SECONDS", 1)
    authority = await asyncio.to_thread(LocalAuthority.open, tmp_path / "authority")
    certificate, _ = await asyncio.to_thread(authority.issue, ["127.0.0.1"])
    copytree(ROOT / "environments", tmp_path / "environments")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        async with serving(Store(authorize=authorize), listener, certificate):
            yield Place(url, authority.ca_file, tmp_path / "environments")


async def until_it_may_be_asked_again() -> None:
    """The provider looks at most once a second here, by the clock of the system."""
    await asyncio.sleep(1.05)


async def test_what_is_loaded_is_what_a_process_reads_and_a_change_reaches_it_while_it_runs(place: Place) -> None:
    place.write("flags.yaml", flags=[FLAG])
    first = await place.load()
    assert first.written > 5
    image = place.folder.parent / "image"
    copytree(place.folder, image)  # what the process was started with
    source = place.source(image)
    try:
        tree = await source.read()
        assert tree == await Files(place.folder, "dev").read()
        assert [flag.id for flag in parse(tree).flags] == ["newer-model"]
        place.write("settings.yaml", change_windows={"most_wait_days": 3})
        place.write("flags.yaml", flags=[])
        changed = await place.load()
        assert (changed.written, changed.deleted) == (1, 1)
        await until_it_may_be_asked_again()
        live = parse(await source.read())
        assert live.change_windows.most_wait_days == 3
        assert live.flags == ()
    finally:
        await source.aclose()


async def test_loading_again_writes_nothing_and_each_environment_has_its_own(place: Place) -> None:
    await place.load()
    again = await place.load()
    assert (again.written, again.deleted) == (0, 0)
    other = await place.load("prod")
    assert other.written > 5
    assert (await place.load()).written == 0


@dataclass
class Announcing:
    """The job with `--candidate-to`, and the flags that a process reads after it."""

    place: Place
    source: AppConfiguration

    async def to(self, ring: str, *, urgent: bool = False) -> str:
        async with loading.opened(self.place.url, "", self.place.ca_file) as client:
            return await candidate_to(client, "dev", ring, datetime.now(UTC), urgent=urgent)

    async def rings(self) -> list[str]:
        """Return to which rings the candidate is announced; and check that everything else is as it was loaded."""
        await until_it_may_be_asked_again()
        tree = await self.source.read()
        flags = {flag.id: flag for flag in parse(tree).flags}
        assert {**tree, "flags": [FLAG]} == await Files(self.place.folder, "dev").read()
        assert flags.keys() - {"candidate"} == {"newer-model"}
        given = flags["candidate"].announced if "candidate" in flags else None
        return sorted(given.since) if given else []


@pytest.fixture
async def announcing(place: Place) -> AsyncGenerator[Announcing]:
    place.write("flags.yaml", flags=[FLAG])
    await place.load()
    source = place.source()
    yield Announcing(place, source)
    await source.aclose()


async def test_the_candidate_goes_from_ring_to_ring_and_back_and_nothing_else_changes(announcing: Announcing) -> None:
    assert await announcing.rings() == []
    with pytest.raises(Conflict, match="internal"):
        await announcing.to("early")
    assert "announced to internal" in await announcing.to("internal")
    assert await announcing.rings() == ["internal"]
    await announcing.to("early")
    assert await announcing.rings() == ["early", "internal"]
    assert "nobody" in await announcing.to("nobody")
    assert await announcing.rings() == []
    await announcing.to("nobody")


async def test_the_job_does_what_it_is_started_with(announcing: Announcing, monkeypatch: pytest.MonkeyPatch) -> None:
    place = announcing.place
    told = {
        "ROOT": str(place.folder.parent),
        "ENVIRONMENT": "dev",
        "CONFIGURATION": place.url,
        "CA_FILE": place.ca_file,
    }
    for name, value in {**told, "CLIENT_ID_CONFIGURATION": "job"}.items():
        monkeypatch.setenv(f"MANDATE_{name}", str(value))
    for arguments, code, says in (
        (["--candidate-to=early"], 1, "promotion.ring"),
        (["--candidate-to=internal", "--urgent"], 0, "dev: candidate: announced to internal"),
        ([], 0, "dev: 0 written, 1 deleted"),
    ):
        done = await asyncio.to_thread(CliRunner().invoke, app, ["env", "load", *arguments])
        assert (done.exit_code, says in done.output) == (code, True), done.output


async def test_loading_all_values_takes_the_candidate_away(announcing: Announcing) -> None:
    await announcing.to("internal", urgent=True)
    assert await announcing.rings() == ["internal"]
    loaded = await announcing.place.load()
    assert (loaded.written, loaded.deleted) == (0, 1)
    assert await announcing.rings() == []


async def test_the_candidate_is_announced_to_no_ring_that_the_stable_revision_does_not_know(place: Place) -> None:
    async with loading.opened(place.url, "", place.ca_file) as client:
        now = datetime.now(UTC)
        with pytest.raises(NotFound, match="Nothing was loaded"):
            await candidate_to(client, "dev", "internal", now, urgent=False)
        await place.load()
        place.write("settings.yaml", rings=["ring-0"])  # of the image that is new
        with pytest.raises(NotFound, match="Rings are: internal"):
            await candidate_to(client, "dev", "ring-0", now, urgent=False)


async def test_before_anything_was_loaded_the_values_of_the_image_hold(place: Place) -> None:
    source = place.source()
    assert await source.read() == await Files(place.folder, "dev").read()
    await source.aclose()


async def test_who_may_only_read_is_refused_and_a_store_that_is_gone_is_said_to_be(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Credential, "may", "read")
    with pytest.raises(Unavailable, match="does not let"):
        await place.load()
    monkeypatch.setattr(app_configuration, "_TIMEOUT_SECONDS", 0.5)
    gone = AppConfiguration("https://127.0.0.1:9", "", Files(place.folder, "dev"), "dev", place.ca_file)
    with pytest.raises(Unavailable):
        await gone.read()
    await gone.aclose()


async def test_the_emulator_says_what_it_is_not(place: Place) -> None:
    headers = {"Authorization": "Bearer write"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def status(method: str, path: str) -> int:
            async with session.request(method, f"{place.url}{path}", ssl=False) as response:
                return response.status

        assert await status("GET", "/snapshots?api-version=2024-09-01") == 501
        assert await status("GET", "/kv?api-version=2024-09-01&key=a*b*") == 501
        assert await status("GET", "/kv?api-version=1999-01-01") == 501
        assert await status("GET", "/kv?api-version=2024-09-01&$select=key") == 501
        assert await status("GET", "/kv/none?api-version=2024-09-01") == 404
        assert await status("PUT", "/kv/none?api-version=2024-09-01") == 400
