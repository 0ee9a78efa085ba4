"""Packages from npm that tests need, pinned in a folder each."""

import asyncio
import hashlib
import shutil
from pathlib import Path

import pytest

_SECONDS = 110


async def installed(config: pytest.Config, pins: Path) -> Path:
    """Return a folder with the files and packages of `pins`, kept between runs as long as its pins are the same."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"tool missing: {tool}")
    assert config.cache is not None
    lock = hashlib.sha256((pins / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = config.cache.mkdir(f"{pins.name}-{lock}")
    shutil.copytree(pins, folder, dirs_exist_ok=True)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        npm = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        process = await asyncio.create_subprocess_exec(*npm, cwd=folder, stdout=asyncio.subprocess.PIPE)
        assert await asyncio.wait_for(process.wait(), _SECONDS) == 0
    return folder
