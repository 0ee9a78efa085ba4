"""`mandate infra` finds what the compiler only warns of, and says what to do where there is no compiler."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mandate.cli import app
from mandate.infra.bicep import Bicep
from mandate.infra.building import parameter_file
from mandate.settings import ROOT


@pytest.mark.usefixtures("bicep")
def test_lint_names_a_mistyped_property_and_nothing_in_what_is_right(tmp_path: Path) -> None:
    right = ROOT / "infra/modules/platform.bicep"
    wrong = tmp_path / "wrong.bicep"
    wrong.write_text(right.read_text().replace("zoneRedundant: zone", "zoneRedundnt: zone"))
    (found,) = Bicep.find().findings(wrong)
    assert "BCP089" in found
    assert str(wrong) in found
    assert list(Bicep.find().findings(right)) == []


@pytest.mark.usefixtures("bicep")
def test_a_changed_value_makes_a_snapshot_differ(tmp_path: Path) -> None:
    for folder in ("infra", "environments"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    values = tmp_path / "changed"
    values.mkdir()
    text = parameter_file("dev").read_text()
    (values / "main.bicepparam").write_text(text.replace("'../../infra", "'../infra"))
    (values / "release.yaml").write_bytes(parameter_file("dev").with_name("release.yaml").read_bytes())
    snapshot = parameter_file("dev").with_name("main.snapshot.json").read_bytes()
    (values / "main.snapshot.json").write_bytes(snapshot)
    assert Bicep.find().snapshot(values / "main.bicepparam", "validate") == ""
    (values / "main.bicepparam").write_text(
        text.replace("'../../infra", "'../infra").replace("logDays: 30", "logDays: 31")
    )
    assert "31" in Bicep.find().snapshot(values / "main.bicepparam", "validate")


@pytest.mark.parametrize("command", [["lint"], ["build"], ["snapshot", "dev"]])
def test_without_a_compiler_a_command_says_what_to_install(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told = CliRunner().invoke(app, ["infra", *command])
    assert told.exit_code == 1
    assert "az bicep install" in told.output
    assert "local.bicep" in told.output
