"""The rules of certification: each finds what it is for, under its published name, and lets the like of it pass."""

import json
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest
from form_examples import FORMS, LOCATION
from template_examples import TEMPLATES, nested, resource, template
from typer.testing import CliRunner

from mandate.cli import app
from mandate.infra.checking import found_in, found_in_document
from mandate.infra.documents import Object
from mandate.infra.findings import Asked
from mandate.infra.form_rules import FORM_RULES
from mandate.infra.template_rules import TEMPLATE_RULES

TODAY = date(2026, 11, 23)


def names(document: dict[str, Any], file: str, beside: dict[str, Any] | None = None) -> set[str]:
    asked = Asked(TODAY, template=cast("Object | None", beside))
    return {finding.rule for finding in found_in_document(cast("Object", document), Path(file), asked)}


@pytest.mark.parametrize(("rule", "bad", "good"), TEMPLATES)
def test_a_rule_of_templates_finds_what_it_is_for(rule: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    assert rule in names(bad, "azuredeploy.json")
    assert rule not in names(good, "azuredeploy.json")


@pytest.mark.parametrize(("rule", "bad", "good", "parameters"), FORMS)
def test_a_rule_of_forms_finds_what_it_is_for(
    rule: str, bad: dict[str, Any], good: dict[str, Any], parameters: dict[str, Any]
) -> None:
    beside = template(parameters={**LOCATION, **parameters})
    assert rule in names(bad, "createUiDefinition.json", beside)
    assert rule not in names(good, "createUiDefinition.json", beside)


def test_every_rule_has_examples() -> None:
    assert {rule.name for rule in TEMPLATE_RULES} == {rule for rule, _, _ in TEMPLATES}
    assert {rule.name for rule in FORM_RULES} == {rule for rule, _, _, _ in FORMS}


BLOCKING = """
adminPassword-Should-Not-Be-A-Literal adminUsername-Should-Not-Be-A-Literal artifacts-parameter
CommandToExecute-Must-Use-ProtectedSettings-For-Secrets Deployment-Resources-Must-Not-Be-Debug
DeploymentTemplate-Must-Not-Contain-Hardcoded-Uri Location-Should-Not-Be-Hardcoded Min-And-Max-Value-Are-Numbers
Outputs-Must-Not-Contain-Secrets Parameter-Types-Should-Be-Consistent Password-params-must-be-secure
Resources-Should-Have-Location Resources-Should-Not-Be-Ambiguous Secure-Params-In-Nested-Deployments
Secure-String-Parameters-Cannot-Have-Default VM-Size-Should-Be-A-Parameter Virtual-Machines-Should-Not-Be-Preview
"""


def test_all_that_blocks_a_template_in_the_marketplace_blocks_here() -> None:
    found = {rule.name for rule in TEMPLATE_RULES if rule.blocking}
    assert found == set(BLOCKING.split())
    assert sum(rule.blocking for rule in FORM_RULES) == 16


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("DeploymentParameters-Should-Have-Schema", {"$schema": "https://example.com/deploymentParameters.json"}),
        ("DeploymentParameters-Should-Have-ContentVersion", {"contentVersion": "1"}),
        ("DeploymentParameters-Should-Have-Parameters", {"parameters": None}),
        ("DeploymentParameters-Should-Have-Value", {"parameters": {"a": {}}}),
    ],
)
def test_parameter_files_are_checked(rule: str, change: dict[str, Any]) -> None:
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
    good = {"$schema": schema, "contentVersion": "1.0.0.0", "parameters": {"a": {"value": 1}}}
    assert names(good, "a.parameters.json") == set()
    assert rule in names({**good, **change}, "a.parameters.json")


def test_a_broken_file_and_inner_templates_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    inner = template(resource(location="westeurope"))
    (tmp_path / "good.json").write_text(json.dumps(template(nested(template(nested(inner))))))
    found = {(finding.rule, finding.place.rpartition("/")[2]) for finding in found_in(tmp_path, TODAY)}
    assert ("JSONFiles-Should-Be-Valid", "broken.json") in found
    assert any(rule == "Resources-Should-Have-Location" for rule, _ in found)


def test_the_command_names_the_rule_and_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "azuredeploy.json"
    file.write_text(json.dumps(template(resource(location="westeurope"))))
    told = CliRunner().invoke(app, ["infra", "check", str(file), "--today", "2026-11-23"])
    assert told.exit_code == 1
    assert "error Resources-Should-Have-Location" in told.output
    file.write_text(json.dumps(template(resource())))
    told = CliRunner().invoke(app, ["infra", "check", str(file), "--today", "2026-11-23"])
    assert (told.exit_code, told.output) == (0, "0 errors, 0 warnings\n")
