"""`mandate infra lint`, `build` and `snapshot`: what is in infra/ and in environments/, through the compiler."""

from collections.abc import Sequence
from pathlib import Path

from mandate.infra.bicep import Bicep
from mandate.settings import ROOT

ROOTS = ("registry", "main", "stamp")
"""What is deployed by itself; everything else is a part of one of them."""

DEPLOYED = ("dev", "staging", "prod")


def parameter_file(environment: str, root: Path = ROOT) -> Path:
    return root / "environments" / environment / "main.bicepparam"


def sources(root: Path = ROOT) -> list[Path]:
    """Return all files for the compiler."""
    azd = root / "infra" / "main.bicepparam"
    return [*sorted(root.glob("infra/**/*.bicep")), azd, *(parameter_file(name, root) for name in DEPLOYED)]


def lint() -> int:
    """Print what the linter finds; return 1 if it finds anything at all."""
    bicep = Bicep.find()
    found = [finding for file in sources() for finding in bicep.findings(file)]
    print("\n".join(found) if found else f"{len(sources())} files, nothing found")
    return 1 if found else 0


def build(out: Path) -> int:
    """Compile what is deployed into a folder; return 1, and write nothing, if the linter finds anything."""
    if lint():
        return 1
    bicep = Bicep.find()
    for name in ROOTS:
        bicep.build(ROOT / "infra" / f"{name}.bicep", out / f"{name}.json")
        print(out / f"{name}.json")
    return 0


def snapshot(environments: Sequence[str], *, validate: bool) -> int:
    """Write what would be deployed beside each environment's parameters, or return 1 if that differs from the file."""
    bicep, differ = Bicep.find(), False
    for name in environments or DEPLOYED:
        difference = bicep.snapshot(parameter_file(name), "validate" if validate else "overwrite")
        print(f"{name}: {difference or ('as in the file' if validate else 'written')}")
        differ = differ or bool(difference)
    return 1 if differ else 0
