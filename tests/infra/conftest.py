"""One Bicep process for all of these tests, and what it makes of the sources."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
from infra_files import METADATA

from mandate.infra.building import DEPLOYED, parameter_file, sources
from mandate.settings import ROOT

BOM = "\ufeff"


@dataclass
class Compiler:
    """The Bicep CLI as a JSON-RPC server on its standard input and output."""

    process: "subprocess.Popen[bytes]"
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": next(self.numbers), "method": method, "params": parameters}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()
        answer = self._read()
        assert "error" not in answer, answer
        return cast("dict[str, Any]", answer["result"])

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return cast("dict[str, Any]", json.loads(self.process.stdout.read(length)))


@pytest.fixture(scope="session")
def bicep() -> Generator[Compiler]:
    found = shutil.which("bicep")
    if found is None:
        pytest.skip("tool missing: bicep")
    process = subprocess.Popen(
        [found, "jsonrpc", "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
    )
    with process:
        yield Compiler(process)
        process.kill()


@pytest.fixture(scope="session")
def compiled(bicep: Compiler) -> dict[str, dict[str, Any]]:
    """What the compiler says of each file: by its path in the repository, the answer with template and diagnostics."""
    answers: dict[str, dict[str, Any]] = {}
    for file in sources():
        verb = "Params" if file.suffix == ".bicepparam" else ""
        answers[str(file.relative_to(ROOT))] = bicep.ask(f"bicep/compile{verb}", **asked(file, verb))
    return answers


def asked(file: Path, verb: str) -> dict[str, Any]:
    return {"path": str(file), **({"parameterOverrides": {}} if verb else {})}


@pytest.fixture(scope="session")
def template(compiled: dict[str, dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """Return the compiled template of `stamp`, `main` or `registry`."""
    return lambda name: cast("dict[str, Any]", json.loads(compiled[f"infra/{name}.bicep"]["contents"]))


@pytest.fixture(scope="session")
def fresh(bicep: Compiler) -> dict[str, str]:
    """The snapshots as the sources make them now, by environment."""
    return {
        name: cast(
            "str",
            bicep.ask("bicep/getSnapshot", path=str(parameter_file(name)), metadata=METADATA, externalInputs=[])[
                "snapshot"
            ],
        ).lstrip(BOM)
        for name in DEPLOYED
    }


@pytest.fixture(scope="session")
def predicted(bicep: Compiler, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[dict[str, Any]]]:
    """Return what a template of infra/ deploys with the parameters of a text."""
    folder = tmp_path_factory.mktemp("variants")

    def resources(template: str, parameters: str, **more: str) -> list[dict[str, Any]]:
        file = folder / f"{len(list(folder.iterdir()))}.bicepparam"
        file.write_text(f"using '{os.path.relpath(ROOT / 'infra' / template, folder)}'\n{parameters}")
        metadata = METADATA | more
        answer = bicep.ask("bicep/getSnapshot", path=str(file), metadata=metadata, externalInputs=[])
        return cast("list[dict[str, Any]]", json.loads(answer["snapshot"].lstrip(BOM))["predictedResources"])

    return resources


@pytest.fixture(scope="session")
def variant(predicted: Callable[..., list[dict[str, Any]]]) -> Callable[..., list[dict[str, Any]]]:
    """Return what a stamp deploys with some parameters other than their defaults."""

    def deployed(**given: Any) -> list[dict[str, Any]]:
        lines = [f"param {name} = {json.dumps(value)}".replace('"', "'") for name, value in (NEEDED | given).items()]
        return predicted("stamp.bicep", "\n".join(lines), resourceGroup="customer")

    return deployed


NEEDED = {
    "environmentName": "prod",
    "location": "westeurope",
    "failoverLocation": "swedencentral",
    "geography": "westeurope",
    "image": "registry.example/mandate@sha256:" + "0" * 64,
    "consoleClientId": "00000000-0000-0000-0000-000000000000",
    "backOffice": "https://backoffice.example:8443/api",
}
"""Parameters that have no default."""
