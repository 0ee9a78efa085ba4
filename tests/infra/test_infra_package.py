"""The package of the managed application: laid out as Partner Center wants it, and the same each time."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra_files import METADATA
from typer.testing import CliRunner

from core.errors import BadRequest
from mandate.cli import app
from mandate.infra.checking import found_in
from mandate.infra.packaging import FORM, TEMPLATE, VIEW, Release, assemble, write
from mandate.settings import ROOT, Settings

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


def test_the_form_asks_for_nothing_that_it_does_not_use() -> None:
    form = json.loads((ROOT / "infra/managed-app" / FORM).read_text())["parameters"]
    for step in form["steps"]:
        for element in step["elements"]:
            others = [one for one in step["elements"] if one is not element]
            assert f"steps('{step['name']}').{element['name']}" in json.dumps([form["outputs"], others])
    for element in form["basics"]:
        assert f"basics('{element['name']}')" in json.dumps(form["outputs"])


def test_the_form_offers_the_plans_that_there_are() -> None:
    form = json.loads((ROOT / "infra/managed-app" / FORM).read_text())["parameters"]
    (plan,) = (one for one in form["basics"] if one["name"] == "plan")
    known = yaml.safe_load((ROOT / "environments/plans.yaml").read_text())["plans"]
    assert [one["value"] for one in plan["constraints"]["allowedValues"]] == list(known)


def test_a_customer_joins_its_own_network_by_an_identity_that_it_gives(package: tuple[Path, Path]) -> None:
    outputs = json.loads((package[0] / FORM).read_text())["parameters"]["outputs"]
    assert outputs["managedIdentity"] == "[steps('network').identity]"
    for name in ("servicesSubnetId", "endpointsSubnetId"):
        assert outputs[name].startswith("[if(equals(steps('network').join, 'existing'), steps('network').")


def test_access_for_a_while_is_asked_for_where_the_plan_says_so(
    tmp_path: Path, template: Callable[[str], dict[str, Any]]
) -> None:
    assemble(tmp_path, json.dumps(template("stamp")), replace(RELEASE, just_in_time=True))
    form = json.loads((tmp_path / FORM).read_text())["parameters"]
    assert form["outputs"]["jitAccessPolicy"] == "[steps('publisher').access]"
    assert form["steps"][-1]["elements"][0]["type"] == "Microsoft.Solutions.JitConfigurator"
    assert [str(finding) for finding in found_in(tmp_path, date(2026, 11, 23))] == []


def test_a_customer_is_asked_whether_the_publisher_is_told_the_version_and_obeyed(
    tmp_path: Path, template: Callable[[str], dict[str, Any]], variant: Callable[..., list[dict[str, Any]]]
) -> None:
    address, audience = "https://mandate.example", "api://00000000-0000-0000-0000-000000000000"
    assemble(tmp_path, json.dumps(template("stamp")), replace(RELEASE, publisher=(address, audience)))
    form = json.loads((tmp_path / FORM).read_text())["parameters"]
    asked = [one for step in form["steps"] for one in step["elements"] if one["name"] in ("heartbeat", "controls")]
    assert [one["defaultValue"] for one in asked] == [False, False]
    assert form["outputs"]["publisherControls"] == "[and(steps('evidence').heartbeat, steps('evidence').controls)]"
    assert form["outputs"]["publisherAddress"] == f"[if(steps('evidence').heartbeat, '{address}', '')]"
    assert form["outputs"]["publisherAudience"] == f"[if(steps('evidence').heartbeat, '{audience}', '')]"
    assert [str(finding) for finding in found_in(tmp_path, date(2026, 11, 23))] == []
    outputs = template("stamp")["outputs"]
    assert "heartbeatTenant" in outputs
    assert "heartbeatPrincipal" in outputs
    assert "MANDATE_PUBLISHER_CONTROLS" not in settings(variant(publisherAddress=address))["control"]
    told = settings(variant(publisherAddress=address, publisherAudience=audience, publisherControls=True))
    assert told["control"]["MANDATE_HEARTBEAT_URL"] == address
    assert told["control"]["MANDATE_HEARTBEAT_AUDIENCE"] == audience
    given = {"publisher_controls": told["control"]["MANDATE_PUBLISHER_CONTROLS"]}
    assert Settings.model_validate(given).publisher_controls
    assert "MANDATE_HEARTBEAT_URL" not in told["interaction"] | told["orchestration"]


def settings(found: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return what each service is given."""
    return {
        app["name"]: {one["name"]: one["value"] for one in app["properties"]["template"]["containers"][0]["env"]}
        for app in found
        if app["type"] == "Microsoft.App/containerApps"
    }


def test_where_the_publisher_is_told_the_version_both_its_address_and_its_api_are_known() -> None:
    for publisher in (("https://mandate.example", ""), ("", "api://x"), ("http://mandate.example", "api://x")):
        with pytest.raises(BadRequest):
            replace(RELEASE, publisher=publisher)


def test_a_customers_stamp_serves_its_own_people_and_takes_them_on(
    variant: Callable[..., list[dict[str, Any]]],
) -> None:
    found = variant(oneOrganisation=True, organisationName="Contoso, Ltd.", plan="business", maintenanceDay="Sunday")
    tid = METADATA["tenantId"]
    services = [one for one in found if one["type"] == "Microsoft.App/containerApps"]
    for service in services:
        env = {one["name"]: one["value"] for one in service["properties"]["template"]["containers"][0]["env"]}
        assert tid in env["MANDATE_IDENTITY_ISSUER"]
        assert tid in env["MANDATE_IDENTITY_JWKS"]
        assert "{tid}" not in env["MANDATE_IDENTITY_ISSUER"]
    (job,) = (one for one in found if one["type"] == "Microsoft.App/jobs" and one["name"] == "operator")
    (container,) = job["properties"]["template"]["containers"]
    program, command, verb, *options = container["command"]
    assert (program, command, verb) == ("mandate", "tenants", "add")
    assert {"--name=Contoso, Ltd.", f"--entra-tenant={tid}", "--plan=business", "--region=westeurope"} <= set(options)
    (window,) = (one for one in found if one["type"].endswith("/maintenanceConfigurations"))
    assert window["properties"]["scheduledEntries"] == [{"weekDay": "Sunday", "startHourUtc": 1, "durationHours": 8}]


def test_a_model_with_throughput_of_its_own_spills_over_to_one_paid_by_use(
    variant: Callable[..., list[dict[str, Any]]],
) -> None:
    found = variant(provisionedUnits={"gpt-5.1": 50})
    kind = "Microsoft.CognitiveServices/accounts/deployments"
    primary = [one for one in found if one["type"] == kind and "-primary-" in one["id"]]
    made = {one["name"].rpartition("/")[2]: one for one in primary}
    assert list(made).index("gpt-5.1-spillover") < list(made).index("gpt-5.1")
    assert made["gpt-5.1"]["sku"] == {"name": "DataZoneProvisionedManaged", "capacity": 50}
    assert made["gpt-5.1"]["properties"]["spilloverDeploymentName"] == "gpt-5.1-spillover"
    assert made["gpt-5.1-spillover"]["sku"]["name"] == "DataZoneStandard"
    assert made["gpt-5.1"]["properties"]["model"] == made["gpt-5.1-spillover"]["properties"]["model"]
    assert "gpt-5.4-mini-spillover" not in made
