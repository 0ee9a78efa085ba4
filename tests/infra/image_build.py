"""Building the image where there is no container engine: buildah in a chroot, on a base made by debootstrap.

The base has the name and the packages of the one that `Dockerfile` asks for, and is kept for a week: it depends on
nothing of ours. Where packages come from is this machine's configuration; of it nothing gets into the image.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contained import Image

from mandate.settings import ROOT

TOOLS = ("buildah", "debootstrap", "bwrap", "setpriv")
BASE = "docker.io/library/debian:trixie-slim"
INCLUDED = "ca-certificates,python3,tzdata"
KEPT = Path("/var/tmp/mandate-image-base")
KEPT_SECONDS = 7 * 24 * 3600
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
INDEXES = ("index-url", "extra-index-url", "trusted-host", "proxy")


@dataclass(frozen=True)
class Builder:
    """Buildah, with its storage in a folder."""

    folder: Path

    @property
    def buildah(self) -> list[str]:
        places = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        return ["buildah", *places, "--storage-driver", "vfs"]

    def run(self, *arguments: str, seconds: float = 900) -> str:
        return told([*self.buildah, *arguments], seconds)

    def make(self, target: str, **variables: str) -> str:
        """Make a target of the Makefile with this buildah."""
        given = [f"{name}={value}" for name, value in variables.items()]
        return told(["make", "--directory", str(ROOT), target, f"BUILDAH={' '.join(self.buildah)}", *given], 900)

    def base(self) -> None:
        """Make the base under the name of the real one."""
        archive = kept_base()
        context = self.folder / "base"
        context.mkdir()
        (context / archive.name).hardlink_to(archive) if same_disk(archive, context) else shutil.copy(archive, context)
        (context / "Dockerfile").write_text(f"FROM scratch\nADD {archive.name} /\n")
        self.run("bud", "--quiet", "--isolation", "chroot", "--tag", BASE, str(context))

    def build(self) -> Image:
        """Build `Dockerfile` as it is, and return what came of it."""
        self.make("image", BUILD_OPTIONS=" ".join(("--isolation chroot --pull-never", *self._lent())))
        container = self.run("from", "--pull-never", "mandate").strip()
        root = Path(self.run("mount", container).strip())
        (root / "etc/hosts").touch()  # the platform mounts its own there
        return Image.of(root, self.run("inspect", container))

    def _lent(self) -> Sequence[str]:
        """Return what lends the build this machine's way to packages."""
        settings = self.folder / "pip.conf"
        settings.write_text("\n".join(["[global]", *pip_settings()]))
        lent = {settings: "/etc/pip.conf", Path(CERTIFICATES): CERTIFICATES}
        return [part for file, place in lent.items() if file.exists() for part in ("--volume", f"{file}:{place}:ro")]


def told(command: Sequence[str], seconds: float) -> str:
    """Run a command to its end and return what it printed; what it says of a failure is the failure."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def kept_base() -> Path:
    """Return an archive of the base, made anew when it is older than a week."""
    archive = KEPT / "base.tar"
    if archive.exists() and time.time() - archive.stat().st_mtime < KEPT_SECONDS:
        return archive
    KEPT.mkdir(exist_ok=True, mode=0o700)
    made, partial = KEPT / f"made-{os.getpid()}", KEPT / f"base-{os.getpid()}.tar"
    try:
        told(
            ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", "trixie", str(made), *debian_mirror()],
            seconds=900,
        )
        leavings = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./dev/*", "./proc/*", "./sys/*")
        without = [
            f"--exclude={one}" for one in (*leavings, "./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*")
        ]
        told(["tar", "--numeric-owner", *without, "-C", str(made), "-cf", str(partial), "."], seconds=300)
        partial.replace(archive)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return archive


def debian_mirror() -> list[str]:
    """Return where this machine has Debian's packages from; nothing if it is no Debian: debootstrap then chooses."""
    listed = told(["apt-get", "indextargets", "--format", "$(SITE)"], 60)
    return [line for line in listed.splitlines() if re.search("/debian/?$", line)][:1]


def pip_settings() -> list[str]:
    """Return the lines of pip's configuration here that lead to an index, but not to folders of this machine."""
    listed = told([str(Path(sys.base_prefix) / "bin/python3"), "-m", "pip", "config", "list"], 60)
    found = {"cert": CERTIFICATES}
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        name = place.rpartition(".")[2]
        urls = [url for url in value.strip("'").split() if "file:" not in url and not url.startswith("/")]
        if name in INDEXES and urls:
            found[name] = " ".join(urls)
    return [f"{name} = {value}" for name, value in found.items()]
