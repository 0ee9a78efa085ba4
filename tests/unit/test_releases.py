"""A release is made once and moved on as it is; a feature goes from ring to ring."""

from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest
import yaml
from typer.testing import CliRunner

from core.errors import Conflict, Defect, NotFound
from mandate.cli import app
from mandate.configuration.files import Files
from mandate.releases import made_of, problems_of, promote, read_release, to_ring, write_release
from mandate.settings import ROOT

IMAGE = f"registry.example/mandate@sha256:{'a' * 64}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("environments", "agents"):
        copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def command(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_environments_of_this_repository_are_valid() -> None:
    assert {name: problems_of(ROOT, name) for name in ("local", "dev", "staging", "prod")} == {
        "local": [],
        "dev": [],
        "staging": [],
        "prod": [],
    }


def test_a_release_goes_from_dev_to_prod_as_it_is_with_its_models(root: Path) -> None:
    edit(root / "environments/dev/models.yaml", '"2025-11-13"', '"2026-09-01"')
    write_release(root, "dev", made_of(root, "dev", IMAGE))
    told = promote(root, "dev", "staging", dry_run=True)
    assert any("2026-09-01" in line for line in told)
    assert read_release(root, "staging").image != IMAGE, "nothing is written yet"

    promote(root, "dev", "staging")
    promote(root, "staging", "prod")

    assert read_release(root, "prod") == read_release(root, "dev")
    assert problems_of(root, "prod") == []
    assert (root / "environments/prod/models.yaml").read_text().startswith("# Model catalogue of production")
    assert promote(root, "staging", "prod") == []


def test_nothing_is_promoted_that_is_not_valid_was_never_released_or_jumps(root: Path) -> None:
    with pytest.raises(Conflict, match="Nothing was released"):
        promote(root, "dev", "staging")
    write_release(root, "dev", made_of(root, "dev", IMAGE))
    with pytest.raises(Conflict, match="from dev to staging"):
        promote(root, "dev", "prod")
    (root / "environments/dev/settings.yaml").write_text("rings: []\n")
    with pytest.raises(Conflict, match="rings"):
        promote(root, "dev", "staging")


def test_a_release_that_was_changed_by_hand_or_is_of_other_files_is_none(root: Path) -> None:
    write_release(root, "dev", made_of(root, "dev", IMAGE))
    with (root / "agents/support/system.md").open("a") as prompt:
        prompt.write("Be short.\n")
    assert [problem for problem in problems_of(root, "dev") if "other agents" in problem]
    edit(root / "environments/dev/release.yaml", "a" * 64, "b" * 64)
    with pytest.raises(Defect, match="not as it was made"):
        read_release(root, "dev")
    with pytest.raises(Defect, match="by its digest"):
        made_of(root, "dev", "registry.example/mandate:latest")


def test_a_feature_goes_to_the_first_ring_first_and_keeps_what_was_announced(root: Path) -> None:
    flags = root / "environments/prod/flags.yaml"
    flags.write_text("# Kept.\nflags:\n  - {id: newer, description: A newer model., enabled: false}\n")
    arguments = ("promote", "prod", "--feature", "newer", "--root", str(root), "--at", "2026-12-01T08:00:00")
    code, told = command(*arguments, "--to-ring", "general")
    assert (code, "promotion.ring" in told) == (1, True)
    for ring in ("internal", "early"):
        code, told = command(*arguments, "--to-ring", ring)
        assert code == 0, told
    written = flags.read_text()
    assert written.startswith("# Kept.\n")
    (flag,) = yaml.safe_load(written)["flags"]
    assert flag["enabled"] is True
    assert [*flag["conditions"]["client_filters"][0]["parameters"]["From"]] == ["internal", "early"]
    assert Files(root / "environments", "prod").read_now()["flags"] == [flag]
    with pytest.raises(NotFound):
        to_ring(root, "prod", "newer", "nowhere", datetime.now(UTC))


def test_the_commands_say_what_is_wrong_and_what_differs(root: Path) -> None:
    assert command("env", "validate", "--root", str(root))[0] == 0
    (root / "environments/prod/flags.yaml").write_text("flags: [{id: unused, description: X, enabled: true}]\n")
    code, told = command("env", "validate", "prod", "--root", str(root))
    assert (code, "unused" in told) == (1, True)
    (root / "environments/prod/flags.yaml").write_text("flags: [{id: candidate, description: X, enabled: true}]\n")
    code, told = command("env", "validate", "prod", "--root", str(root))
    assert (code, "`candidate` is the flag of releases under way" in told, told.count("\n")) == (1, True, 2)
    (root / "environments/prod/flags.yaml").write_text("flags: [{id: unused, description: X, enabled: true}]\n")
    code, told = command("env", "diff", "dev", "prod", "--root", str(root))
    assert code == 0
    assert "larger-sums-need-two-people" in told
    assert "flags:unused" in told
