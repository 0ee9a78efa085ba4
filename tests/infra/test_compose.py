"""`compose.yaml`: as its schema wants it, and its services are those that are declared."""

import shutil
import subprocess
from typing import Any, cast

import pytest
import yaml

from mandate.services import Services
from mandate.settings import ROOT

COMPOSE = cast("dict[str, Any]", yaml.safe_load((ROOT / "compose.yaml").read_text()))["services"]
SERVICES = Services.load(ROOT / "environments").services


def test_the_file_is_valid() -> None:
    checker = shutil.which("check-jsonschema") or pytest.skip("tool missing: check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_declared_and_confined(name: str) -> None:
    declared, given = SERVICES[name], COMPOSE[name]  # pyright: ignore[reportArgumentType] - one of its own keys
    assert given["command"] == list(declared.command)
    assert (given["read_only"], given["cap_drop"], given["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    for peer in declared.peers:
        port = SERVICES[peer].port
        assert given["environment"][f"MANDATE_{peer.upper()}_URL"] == f"http://{peer}:{port}"
    published = [f"127.0.0.1:{declared.port}:{declared.port}"] if declared.public else []
    assert given.get("ports", []) == published


def test_nothing_listens_for_other_machines() -> None:
    for service in COMPOSE.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
