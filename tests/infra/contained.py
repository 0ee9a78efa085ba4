"""Running from an image's root file system without a container engine: read-only, as another user, without rights."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        root: its root file system.
        environment: that it sets.
        user: number of the user that it runs as.
        folder: that it starts in.
        health: the command that says whether it is well.
    """

    root: str
    environment: Mapping[str, str]
    user: str
    folder: str
    health: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, inspected: str) -> "Image":
        """Read what `buildah inspect` says."""
        config = cast("dict[str, Any]", json.loads(inspected))["Docker"]["config"]
        return cls(
            root=str(root),
            environment=dict(pair.split("=", 1) for pair in config["Env"]),
            user=config["User"].partition(":")[0],
            folder=config["WorkingDir"],
            health=tuple(config["Healthcheck"]["Test"][1:]),
        )

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, file: Path) -> "Image":
        return cls(**json.loads(file.read_text()))

    def command(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        files: Mapping[Path, str] | None = None,
    ) -> list[str]:
        """Return what runs a command in it.

        Args:
            command: as the image would be given it.
            environment: besides its own.
            files: of this machine by the place where the command finds them.
        """
        variables = {**self.environment, **(environment or {})}
        return [
            *("bwrap", "--cap-add", "ALL", "--die-with-parent", "--unshare-pid", "--ro-bind", self.root, "/"),
            *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"),
            *(part for file, place in (files or {}).items() for part in ("--ro-bind", str(file), place)),
            *("--chdir", self.folder, "--clearenv"),
            *(part for name, value in variables.items() for part in ("--setenv", name, value)),
            *("setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups", "--no-new-privs"),
            *("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--", *command),
        ]

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(command), capture_output=True, text=True, timeout=60, check=False)
