"""`mandate promote ENV --feature F --to-ring R`: a feature goes to the tenants of one more ring."""

from datetime import datetime
from pathlib import Path

import yaml

from core.errors import NotFound
from mandate.configuration.announcing import announced, before_it
from mandate.configuration.files import Files
from mandate.configuration.tree import parse


def to_ring(root: Path, environment: str, feature: str, ring: str, at: datetime) -> str:
    """Announce a feature to a ring in the environment's flags; return what was done, in a line.

    Raises:
        NotFound: there is no such flag, or no such ring.
        Conflict: the feature has not been announced to the rings before (`promotion.ring`).
    """
    files = Files(root / "environments", environment)
    live = parse(files.read_now())
    flag = next((one for one in live.flags if one.id == feature), None)
    if flag is None or ring not in live.rings:
        raise NotFound(f"There is no flag `{feature}` in {environment}, or no ring `{ring}`.")
    before_it(live.rings, ring, flag.announced.since if flag.announced else {}, at)
    changed = announced(flag, ring, at)
    flags = [changed if one.id == feature else one for one in live.flags]
    head = "".join(line for line in files.flags.read_text("utf-8").splitlines(keepends=True) if line.startswith("#"))
    written = {"flags": [one.model_dump(mode="json", exclude_defaults=True) for one in flags]}
    files.flags.write_text(head + yaml.safe_dump(written, sort_keys=False), "utf-8")
    return f"{feature}: announced to {ring} for {at.isoformat()}; each tenant gets it when its windows let it."
