"""`mandate promote A B`: what runs in one environment shall run in the next, as it is."""

from itertools import pairwise
from pathlib import Path

import yaml

from core.errors import Conflict
from mandate.releases.manifest import FILE, read_release, write_release
from mandate.releases.validating import problems_of

ORDER: tuple[str, ...] = ("dev", "staging", "prod")
_PINS = "\nmodels:\n"


def promote(root: Path, source: str, target: str, *, dry_run: bool = False) -> list[str]:
    """Move the release of one environment to the next, with its pins of models; return what changes, in lines.

    Values and flags stay: they are an environment's own.

    Raises:
        Conflict: the source is not valid, was never released, or is not the one before (`promotion.source`).
        Defect: a release is not as it was made (`defect.release`).
    """
    if (source, target) not in [*pairwise(ORDER)]:
        raise Conflict("A release goes from dev to staging and from there to prod.", code="promotion.source")
    if problems := problems_of(root, source):
        raise Conflict(f"{source} is not valid: {problems[0]} See `mandate env validate`.", code="promotion.source")
    release = read_release(root, source)
    if not release.is_released:
        raise Conflict(f"Nothing was released to {source} yet: see `mandate env pin`.", code="promotion.source")
    before = (root / "environments" / target / FILE).read_text("utf-8")
    if not dry_run:
        write_release(root, target, release)
        _move_pins(root, source, target)
    old, new = before.splitlines()[1:], _text(release.model_dump())
    return [f"- {line}" for line in old if line not in new] + [f"+ {line}" for line in new if line not in old]


def _text(values: dict[str, object]) -> list[str]:
    return yaml.safe_dump(values, sort_keys=False).splitlines()


def _move_pins(root: Path, source: str, target: str) -> None:
    """Write the source's models into the target's catalogue; what stands above them is the target's own."""
    path = root / "environments" / target / "models.yaml"
    head, mark, _ = path.read_text("utf-8").partition(_PINS)
    _, _, pins = (root / "environments" / source / "models.yaml").read_text("utf-8").partition(_PINS)
    path.write_text(head + mark + pins, "utf-8")
