"""The Bicep compiler: `az bicep` where the Azure CLI is installed, the `bicep` CLI otherwise."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from core.errors import Unavailable
from mandate.infra.documents import Json, Object, entries, parse, text

SECONDS = 300
_OFFLINE = {
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
    "AZURE_BICEP_CHECK_VERSION": "False",
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
}
"""It needs no language data of the machine then, and the Azure CLI asks nobody for a newer version."""

CONTEXT = (
    *("--subscription-id", "00000000-0000-0000-0000-000000000001"),
    *("--tenant-id", "00000000-0000-0000-0000-000000000002"),
    *("--location", "westeurope"),
    *("--deployment-name", "mandate"),
)
"""Made up, and always the same, so that a snapshot changes only with what it is of."""


@dataclass(frozen=True, slots=True)
class Bicep:
    """One of the two ways to call the compiler.

    Attributes:
        command: what comes before its verbs.
        file: what comes before the name of a file.
    """

    command: tuple[str, ...]
    file: tuple[str, ...] = ()

    @classmethod
    def find(cls) -> "Bicep":
        """Return what there is on this machine.

        Raises:
            Unavailable: neither (`local.bicep`).
        """
        if found := shutil.which("az"):
            return cls((found, "bicep"), ("--file",))
        if found := shutil.which("bicep"):
            return cls((found,))
        message = "There is no Bicep compiler here. Install the Azure CLI and run `az bicep install`."
        raise Unavailable(message, code="local.bicep")

    def findings(self, file: Path) -> Iterator[str]:
        """Yield what its linter says of a file. Its exit code would not do: it ignores warnings."""
        done = self._run("lint", *self.file, str(file), "--diagnostics-format", "sarif")
        try:
            report = cast("Json", json.loads(done.stdout[done.stdout.index("{") :]))
        except ValueError:
            yield f"{file}: {(done.stderr or done.stdout).strip()}"
            return
        for run in entries(report, "runs"):
            for result in entries(run, "results"):
                yield f"{file}: {text(result, 'ruleId')}: {text(result, 'message', 'text')}"

    def build(self, file: Path, out: Path) -> None:
        """Compile a file.

        Raises:
            Unavailable: it cannot be compiled (`local.bicep`).
        """
        out.parent.mkdir(parents=True, exist_ok=True)
        self._checked("build", *self.file, str(file), "--outfile", str(out))

    def parameters(self, file: Path) -> tuple[Object, Object]:
        """Return the template that a parameter file is for, and the parameters, as Azure takes them.

        Raises:
            Unavailable: they cannot be compiled (`local.bicep`).
        """
        made = parse(self._checked("build-params", *self.file, str(file), "--stdout"))
        return parse(text(made, "templateJson")), parse(text(made, "parametersJson"))

    def snapshot(self, parameters: Path, mode: str) -> str:
        """Write, or compare with, `<name>.snapshot.json` beside a parameter file; return what differs."""
        arguments = ("snapshot", *self.file, str(parameters), "--mode", mode, *CONTEXT)
        if mode == "validate":
            done = self._run(*arguments)
            return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or "It differs."
        self._checked(*arguments)
        return ""

    def _checked(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise Unavailable(f"Bicep refuses: {(done.stderr or done.stdout).strip()}", code="local.bicep")
        return done.stdout

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command: Sequence[str] = (*self.command, *arguments)
        environment = {**os.environ, **_OFFLINE}
        if shutil.which("bicep"):  # the Azure CLI would bring its own otherwise
            environment["AZURE_BICEP_USE_BINARY_FROM_PATH"] = "true"
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False)  # noqa: S603 - no shell; the compiler, and arguments of ours
