"""Files with keys in them: readable by their owner only, and never seen half-written."""

import os
import secrets
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make `folder` if needed, and close it to everybody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def replace_private(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step."""
    draft = _draft(path, data)
    draft.replace(path)


def keep_first(path: Path, data: bytes) -> bytes:
    """Write `data` to `path` unless the file exists; return what is in it, so that two starting processes agree."""
    draft = _draft(path, data)
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        draft.unlink()
    return data


def _draft(path: Path, data: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return draft
