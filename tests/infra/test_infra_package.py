"""The package of the managed application: laid out as Partner Center wants it, and the same each time."""

import json
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.errors import BadRequest
from mandate.cli import app
from mandate.infra.checking import found_in
from mandate.infra.packaging import FORM, TEMPLATE, VIEW, Release, assemble, write
from mandate.settings import ROOT

DIGEST = "sha256:" + "a" * 64
RELEASE = Release(f"ghcr.io/publisher/mandate@{DIGEST}")


@pytest.fixture
def package(tmp_path: Path, template: Callable[[str], dict[str, Any]]) -> tuple[Path, Path]:
    """Return a folder with the parts, and the zip."""
    folder, out = tmp_path / "parts", tmp_path / "managed-app.zip"
    folder.mkdir()
    write(assemble(folder, json.dumps(template("stamp")), RELEASE), out)
    return folder, out


def test_the_files_are_at_the_root_of_the_zip_under_their_exact_names(package: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(package[1]) as archive:
        assert sorted(archive.namelist()) == sorted([FORM, TEMPLATE, VIEW])
        assert {"createUiDefinition.json", "mainTemplate.json", "viewDefinition.json"} == set(archive.namelist())
        for name in archive.namelist():
            assert isinstance(json.loads(archive.read(name)), dict)


def test_the_same_sources_make_the_same_bytes(
    package: tuple[Path, Path], tmp_path: Path, template: Callable[[str], dict[str, Any]]
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    write(assemble(again, json.dumps(template("stamp"), indent=4), RELEASE), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == package[1].read_bytes()


def test_it_passes_every_rule_of_certification(package: tuple[Path, Path]) -> None:
    assert [str(finding) for finding in found_in(package[0], date(2026, 11, 23))] == []


def test_it_stays_within_one_resource_group_and_runs_no_script(template: Callable[[str], dict[str, Any]]) -> None:
    text = json.dumps(template("stamp"))
    assert template("stamp")["$schema"].endswith("/2019-04-01/deploymentTemplate.json#")
    assert "Microsoft.Resources/deploymentScripts" not in text
    for foreign in ('"subscriptionId":', '"resourceGroup":', "subscriptionDeploymentTemplate", "/resourceGroups/"):
        assert foreign not in text, foreign


def test_identities_of_the_customers_tenant_get_their_roles_from_the_publishers(package: tuple[Path, Path]) -> None:
    form = json.loads((package[0] / FORM).read_text())["parameters"]["outputs"]
    assert form["crossTenant"] is True
    assert form["image"] == RELEASE.image
    text = (package[0] / TEMPLATE).read_text()
    roles = text.count('"type":"Microsoft.Authorization/roleAssignments"')
    assert roles == text.count('"delegatedManagedIdentityResourceId":"[if(parameters(\'crossTenant\'),')


@pytest.mark.parametrize("image", ["mandate:latest", "ghcr.io/publisher/mandate:1.0", f"mandate@{DIGEST}", ""])
def test_an_image_that_could_change_is_refused(image: str) -> None:
    with pytest.raises(BadRequest):
        Release(image)


@pytest.mark.usefixtures("bicep")
def test_the_command_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "out" / "managed-app.zip"
    told = CliRunner().invoke(app, ["package", "managed-app", "--image", RELEASE.image, "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert zipfile.is_zipfile(out)
    refused = CliRunner().invoke(app, ["package", "managed-app", "--image", "mandate:latest"])
    assert refused.exit_code == 1
    assert "by its digest" in refused.output


def test_the_form_asks_for_nothing_that_it_does_not_pass_on() -> None:
    form = json.loads((ROOT / "infra/managed-app" / FORM).read_text())["parameters"]
    text = json.dumps(form["outputs"])
    for step in form["steps"]:
        for element in step["elements"]:
            assert f"steps('{step['name']}').{element['name']}]" in text
    for element in form["basics"]:
        assert f"basics('{element['name']}')" in text
