"""Versions, names and outputs of what is compiled."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any, cast

import pytest
import yaml
from infra_files import of_type, strings

from mandate.infra.building import DEPLOYED
from mandate.infra.documents import Object, templates
from mandate.infra.findings import MOST_DAYS
from mandate.settings import ROOT

PINNED = date(2026, 11, 23)
"""The day from which the age of API versions counts here: a template that nobody touched fails on no later one."""

everywhere = pytest.mark.parametrize("environment", DEPLOYED)


@everywhere
def test_names_fit_where_they_are_used(environment: str) -> None:
    limits = {
        "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
        "Microsoft.KeyVault/vaults": r"[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
        "Microsoft.DocumentDB/databaseAccounts": r"[a-z0-9][a-z0-9-]{1,42}[a-z0-9]",
        "Microsoft.App/containerApps": r"[a-z][a-z0-9-]{0,30}[a-z0-9]",
        "Microsoft.CognitiveServices/accounts": r"[a-zA-Z0-9][a-zA-Z0-9-]{1,63}",
        "Microsoft.Network/FrontDoorWebApplicationFirewallPolicies": r"[a-zA-Z][a-zA-Z0-9]{0,127}",
    }
    for kind, pattern in limits.items():
        for one in of_type(environment, kind):
            assert re.fullmatch(pattern, one["name"]), one["name"]


def test_apis_are_neither_previews_nor_old(template: Callable[[str], dict[str, Any]]) -> None:
    accepted: dict[str, str] = yaml.safe_load((ROOT / "infra/accepted-api-versions.yaml").read_text())
    used = {
        (str(resource["type"]), str(resource["apiVersion"]))
        for name in ("stamp", "main", "registry")
        for inner in templates(cast("Object", template(name)))
        for resource in inner.resources
    }
    odd = {
        f"{kind}@{version}"
        for kind, version in used
        if len(version) > 10 or (PINNED - date.fromisoformat(version)).days > MOST_DAYS
    }
    assert odd == set(accepted), "accepted-api-versions.yaml names exactly what needs it"
    assert all(accepted.values())


def test_no_deployment_has_a_name_that_azure_would_refuse(template: Callable[[str], dict[str, Any]]) -> None:
    longest = {
        "format('models-{0}'": 15,
        "format('endpoint-{0}'": 24,
        "format('service-{0}'": 21,
        "format('job-{0}'": 21,
        "format('stamp-{0}'": 26,
        "format('budget-{0}'": 27,
        "format('policy-{0}'": 27,
    }
    for name in ("stamp", "main"):
        for inner in templates(cast("Object", template(name))):
            for resource in inner.resources:
                if resource["type"] == "Microsoft.Resources/deployments":
                    text = str(resource["name"])
                    known = next((length for start, length in longest.items() if start in text), None)
                    assert (known or len(text)) <= 64, text
                    assert known or not text.startswith("["), text


@everywhere
def test_outputs_and_settings_hold_no_secret(environment: str, template: Callable[[str], dict[str, Any]]) -> None:
    for name in ("stamp", "main", "registry"):
        assert not [
            one for one in strings(template(name)) if re.search(r"(?<!\w)list\w+\(", one) and one.startswith("[")
        ]
    for app in of_type(environment, "Microsoft.App/containerApps"):
        for secret in app["properties"]["configuration"]["secrets"]:
            assert set(secret) == {"name", "keyVaultUrl", "identity"}
        for setting in app["properties"]["template"]["containers"][0]["env"]:
            assert not re.search("KEY$|SECRET|PASSWORD|TOKEN$", setting["name"].replace("MANDATE_EVIDENCE_KEY", "")), (
                setting
            )


def test_a_key_vault_key_is_named_by_its_version() -> None:
    app = next(one for one in of_type("prod", "Microsoft.App/containerApps") if one["name"] == "orchestration")
    (key,) = (
        one["value"]
        for one in app["properties"]["template"]["containers"][0]["env"]
        if one["name"] == "MANDATE_EVIDENCE_KEY"
    )
    assert "keyUriWithVersion" in key
