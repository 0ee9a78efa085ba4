"""The tree in the files of `environments`: what is the same everywhere, then what one environment has of its own."""

import asyncio
import json
from pathlib import Path
from typing import cast

import yaml

from core.errors import Defect
from mandate.configuration.tree import Tree, merged


class Files:
    """Read again when one of them has changed.

    Args:
        environments: the folder.
        name: of the environment.
    """

    every = 2.0

    def __init__(self, environments: Path, name: str) -> None:
        self.plans = environments / "plans.yaml"
        self.common = environments / "settings.yaml"
        self.own = environments / name / "settings.yaml"
        self.flags = environments / name / "flags.yaml"
        self._seen: tuple[float, ...] = ()
        self._tree: Tree = {}

    async def read(self) -> Tree:
        """Return the tree as it is in the files.

        Raises:
            Defect: one cannot be read (`defect.configuration`).
        """
        return await asyncio.to_thread(self.read_now)

    def read_now(self) -> Tree:
        """Do the same, blocking."""
        paths = (self.plans, self.common, self.own, self.flags)
        try:
            seen = tuple(path.stat().st_mtime for path in paths)
            if seen != self._seen:
                plans, common, own, flags = (_read(path) for path in paths)
                self._tree = merged({"plans": plans["plans"]}, common, own, {"flags": flags["flags"]})
                self._seen = seen
        except OSError as error:
            raise _unreadable(Path(error.filename)) from error
        except KeyError as error:
            raise _unreadable(self.plans if error.args == ("plans",) else self.flags) from error
        return self._tree

    async def aclose(self) -> None:
        """Nothing is open."""


def _read(path: Path) -> Tree:
    try:
        found: object = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise _unreadable(path) from error
    if not isinstance(found, dict | None):
        raise _unreadable(path)
    # YAML knows more than JSON, such as times without quotation marks.
    return cast("Tree", json.loads(json.dumps(found or {}, default=str)))


def _unreadable(path: Path) -> Defect:
    return Defect(f"{path.parent.name}/{path.name} cannot be read as settings.", code="defect.configuration")
