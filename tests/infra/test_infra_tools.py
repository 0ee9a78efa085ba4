"""Other people's tools over the same templates: checkov, and the Azure CLI's own `az bicep`."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from mandate.settings import ROOT

SKIPS: dict[str, str] = yaml.safe_load((ROOT / "infra/checkov-skips.yaml").read_text()) or {}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"tool missing: {name}")
    return found


@pytest.mark.timeout(400)
def test_checkov_finds_only_what_was_reviewed(tmp_path: Path, template: Callable[[str], dict[str, Any]]) -> None:
    checkov = tool("checkov")
    for name in ("stamp", "registry"):
        (tmp_path / f"{name}.json").write_text(json.dumps(template(name)))
    options = ("--framework", "arm", "--skip-download", "--quiet", "--output", "json")
    command = [checkov, "--directory", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    report = cast("dict[str, Any]", json.loads(done.stdout))
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] > 40, "templates in another language are read as empty"
    found = {one["check_id"] for one in report["results"]["failed_checks"]}
    assert found == set(SKIPS), sorted((one["check_id"], one["resource"]) for one in report["results"]["failed_checks"])


@pytest.mark.timeout(400)
def test_the_azure_cli_finds_nothing_either(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AZURE_CONFIG_DIR": str(tmp_path),
        "AZURE_BICEP_USE_BINARY_FROM_PATH": "true",
        "AZURE_BICEP_CHECK_VERSION": "False",
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
    }
    tool("bicep")
    command = [tool("az"), "bicep", "lint", "--file", str(ROOT / "infra/main.bicep"), "--diagnostics-format", "sarif"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    report = cast("dict[str, Any]", json.loads(done.stdout[done.stdout.index("{") :]))
    assert [run["results"] for run in report["runs"]] == [[]]
