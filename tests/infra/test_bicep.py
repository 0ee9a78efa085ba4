"""What is deployed compiles without a word of complaint, is formatted, and is what was reviewed."""

import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from infra_files import snapshot_text

from mandate.infra.building import DEPLOYED, sources
from mandate.infra.documents import Json, objects
from mandate.settings import ROOT

RULES = (
    *("adminusername-should-not-be-literal", "artifacts-parameters", "decompiler-cleanup"),
    *("explicit-values-for-loc-params", "max-asserts", "max-outputs", "max-params", "max-resources", "max-variables"),
    *("nested-deployment-template-scoping", "no-conflicting-metadata", "no-deployments-resources", "no-explicit-any"),
    *("no-hardcoded-env-urls", "no-hardcoded-location", "no-hardcoded-outputs", "no-loc-expr-outside-params"),
    *("no-module-name", "no-unnecessary-dependson", "no-unused-existing-resources", "no-unused-imports"),
    *("no-unused-params", "no-unused-types", "no-unused-vars", "outputs-should-not-contain-secrets"),
    *("prefer-interpolation", "prefer-unquoted-property-names", "protect-commandtoexecute-secrets"),
    *("secure-parameter-default", "secure-params-in-nested-deploy", "secure-params-in-parameters-file"),
    *("secure-secrets-in-params", "simplify-interpolation", "simplify-json-null", "stacks-extensibility-compat"),
    *("use-description-outputs", "use-description-params", "use-description-type-properties", "use-description-types"),
    *("use-description-vars", "use-parent-property", "use-recent-api-versions", "use-recent-az-powershell-version"),
    *("use-recent-module-versions", "use-recognized-resource-type", "use-resource-id-functions"),
    *("use-resource-symbol-reference", "use-safe-access", "use-secure-value-for-secure-inputs"),
    *("use-stable-resource-identifiers", "use-stable-vm-image", "use-user-defined-types", "what-if-short-circuiting"),
)
"""All that the compiler knows, version 0.49.2: it says nothing of a rule whose name it does not know."""

OFF = {
    *("no-module-name", "use-user-defined-types"),
    *("use-description-vars", "use-resource-id-functions", "use-recent-api-versions", "what-if-short-circuiting"),
}

BUDGET = 300_000
"""Bytes, of 4 MB that Azure takes: more is a sign of something that went wrong."""


def rules() -> dict[str, str]:
    text = re.sub(r"^\s*//.*$", "", (ROOT / "bicepconfig.json").read_text(), flags=re.MULTILINE)
    found = json.loads(text)["analyzers"]["core"]["rules"]
    return {name: rule["level"] for name, rule in found.items()}


def test_the_compiler_complains_of_nothing(compiled: dict[str, dict[str, Any]]) -> None:
    assert len(compiled) == len(sources())
    assert {name: answer["diagnostics"] for name, answer in compiled.items() if answer["diagnostics"]} == {}


def test_every_rule_of_the_linter_is_an_error_or_off_for_a_reason_that_stands_there() -> None:
    assert set(rules()) == set(RULES)
    assert {name for name, level in rules().items() if level != "error"} == OFF
    text = (ROOT / "bicepconfig.json").read_text()
    for name in OFF - {"use-user-defined-types"}:
        assert re.search(rf'//[^\n]*\n\s*"{name}"', text), f"{name} is off without a reason"


def test_nothing_in_the_sources_silences_the_compiler() -> None:
    assert [file for file in sources() if "#disable" in file.read_text()] == []


def test_a_mistyped_property_is_complained_of(bicep: Any, tmp_path: Any) -> None:
    """The compiler only warns of it, and exits with 0."""
    wrong = tmp_path / "wrong.bicep"
    text = (ROOT / "infra/modules/content.bicep").read_text()
    wrong.write_text(text.replace("allowSharedKeyAccess", "allowSharedKeyAcess"))
    told = bicep.ask("bicep/compile", path=str(wrong))["diagnostics"]
    assert [one["code"] for one in told] == ["BCP089"]


def test_sources_are_formatted(bicep: Any) -> None:
    for file in sources():
        formatted = bicep.ask("bicep/format", path=str(file))["contents"]
        assert file.read_text() == formatted, f"bicep format {file.relative_to(ROOT)}"


@pytest.mark.parametrize("environment", DEPLOYED)
def test_what_would_be_deployed_is_what_was_reviewed(environment: str, fresh: dict[str, str]) -> None:
    hint = f"mandate infra snapshot {environment} writes it anew: look at the difference"
    assert json.loads(snapshot_text(environment)) == json.loads(fresh[environment]), hint


@pytest.mark.parametrize("name", ["stamp", "main", "registry"])
def test_a_template_stays_far_below_what_azure_takes(name: str, template: Callable[[str], dict[str, Any]]) -> None:
    assert len(json.dumps(template(name), separators=(",", ":"))) < BUDGET


def test_the_stamp_is_in_the_only_language_that_a_managed_application_takes(
    template: Callable[[str], dict[str, Any]],
) -> None:
    for found in objects(cast("Json", template("stamp"))):
        assert "languageVersion" not in found
        assert "$schema" not in found or isinstance(found["resources"], list)
