"""Of each rule of templates, what it finds and the like of it that it lets pass."""

from collections.abc import Sequence
from typing import Any

VERSION = "2026-03-15"
TEMPLATE_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def template(
    *resources: dict[str, Any],
    parameters: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "$schema": TEMPLATE_SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": parameters or {},
        "variables": variables or {},
        "resources": list(resources),
        "outputs": outputs or {},
    }


def resource(kind: str = "Microsoft.Test/things", **more: Any) -> dict[str, Any]:
    return {"type": kind, "apiVersion": VERSION, "name": "one", **more}


def nested(inner: dict[str, Any], /, scope: str = "inner", **parameters: str) -> dict[str, Any]:
    given = {name: {"value": value} for name, value in parameters.items()}
    properties = {"expressionEvaluationOptions": {"scope": scope}, "template": inner, "parameters": given}
    return resource("Microsoft.Resources/deployments", properties=properties)


def debugged(level: str) -> dict[str, Any]:
    return resource("Microsoft.Resources/deployments", properties={"debugSetting": {"detailLevel": level}})


def parameter(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


SECRET = {"secret": parameter("securestring")}
USED = "[parameters('secret')]"
SIZED = {"hardwareProfile": {"vmSize": "[parameters('size')]"}}
MACHINE = "Microsoft.Compute/virtualMachines"

TEMPLATES: Sequence[tuple[str, dict[str, Any], dict[str, Any]]] = (
    (
        "Location-Should-Not-Be-Hardcoded",
        template(parameters={"location": parameter("string", defaultValue="westeurope")}),
        template(parameters={"location": parameter("string", defaultValue="[resourceGroup().location]")}),
    ),
    (
        "Location-Should-Not-Be-Hardcoded",
        template(resource(location="[resourceGroup().location]")),
        template(resource(location="[parameters('location')]"), parameters={"location": parameter("string")}),
    ),
    (
        "Location-Should-Not-Be-Hardcoded",
        template(nested(template(parameters={"location": parameter("string", defaultValue="global")}))),
        template(nested(template(parameters={"location": parameter("string")}))),
    ),
    (
        "Resources-Should-Have-Location",
        template(resource(location="westeurope")),
        template(resource(location="global")),
    ),
    (
        "DeploymentTemplate-Must-Not-Contain-Hardcoded-Uri",
        template(variables={"signIn": "https://login.microsoftonline.com/"}),
        template(variables={"signIn": "[environment().authentication.loginEndpoint]"}),
    ),
    (
        "Min-And-Max-Value-Are-Numbers",
        template(parameters={"count": parameter("int", minValue="1")}),
        template(parameters={"count": parameter("int", minValue=1)}),
    ),
    (
        "Deployment-Resources-Must-Not-Be-Debug",
        template(
            resource("Microsoft.Resources/deployments", properties={"debugSetting": {"detailLevel": "requestContent"}})
        ),
        template(debugged("none")),
    ),
    (
        "Parameter-Types-Should-Be-Consistent",
        template(
            nested(template(parameters={"inner": parameter("int")}), inner="[parameters('outer')]"),
            parameters={"outer": parameter("string")},
        ),
        template(
            nested(template(parameters={"inner": parameter("string")}), inner="[parameters('outer')]"),
            parameters={"outer": parameter("string")},
        ),
    ),
    (
        "Resources-Should-Not-Be-Ambiguous",
        template(variables={"id": "[resourceId('Microsoft.Test/things/parts', 'one')]"}),
        template(variables={"id": "[resourceId('Microsoft.Test/things/parts', 'one', 'two')]"}),
    ),
    (
        "artifacts-parameter",
        template(parameters={"_artifactsLocation": parameter("string", defaultValue="https://here.example")}),
        template(
            parameters={
                "_artifactsLocation": parameter("string", defaultValue="[deployment().properties.templateLink.uri]"),
                "_artifactsLocationSasToken": parameter("securestring", defaultValue=""),
            }
        ),
    ),
    (
        "VM-Size-Should-Be-A-Parameter",
        template(resource(MACHINE, properties={"hardwareProfile": {"vmSize": "Standard_D2"}})),
        template(resource(MACHINE, properties=SIZED), parameters={"size": parameter("string")}),
    ),
    (
        "Virtual-Machines-Should-Not-Be-Preview",
        template(resource(MACHINE, properties={"storageProfile": {"imageReference": {"sku": "2026-preview"}}})),
        template(resource(MACHINE, properties={"storageProfile": {"imageReference": {"sku": "2026"}}})),
    ),
    (
        "Outputs-Must-Not-Contain-Secrets",
        template(outputs={"key": {"type": "string", "value": "[listKeys('one', '2026-01-01').key1]"}}),
        template(outputs={"list": {"type": "string", "value": "listKeys is a function"}}),
    ),
    (
        "Outputs-Must-Not-Contain-Secrets",
        template(parameters=SECRET, outputs={"it": {"type": "string", "value": "[concat('a', parameters('secret'))]"}}),
        template(parameters=SECRET, outputs={"it": {"type": "string", "value": "[parameters('other')]"}}),
    ),
    (
        "Secure-String-Parameters-Cannot-Have-Default",
        template(parameters={"secret": parameter("secureString", defaultValue="hunter2")}),
        template(parameters={"secret": parameter("secureString", defaultValue="[newGuid()]")}),
    ),
    (
        "Password-params-must-be-secure",
        template(parameters={"adminPassword": parameter("string")}),
        template(parameters={"adminPassword": parameter("secureString")}),
    ),
    (
        "adminPassword-Should-Not-Be-A-Literal",
        template(resource(properties={"osProfile": {"adminPassword": "hunter2"}})),
        template(resource(properties={"osProfile": {"adminPassword": USED}}), parameters=SECRET),
    ),
    (
        "adminUsername-Should-Not-Be-A-Literal",
        template(resource(properties={"osProfile": {"adminUsername": "root"}})),
        template(resource(properties={"osProfile": {"adminUsername": USED}}), parameters=SECRET),
    ),
    (
        "CommandToExecute-Must-Use-ProtectedSettings-For-Secrets",
        template(resource(properties={"settings": {"commandToExecute": USED}}), parameters=SECRET),
        template(resource(properties={"protectedSettings": {"commandToExecute": USED}}), parameters=SECRET),
    ),
    (
        "Secure-Params-In-Nested-Deployments",
        template(nested(template(resource(properties={"it": USED})), "outer"), parameters=SECRET),
        template(
            nested(template(resource(properties={"it": USED}), parameters=SECRET), secret=USED), parameters=SECRET
        ),
    ),
    (
        "Parameters-Must-Be-Referenced",
        template(parameters={"idle": parameter("string")}),
        template(
            nested(template(resource(tags="[parameters('busy')]")), "outer"), parameters={"busy": parameter("string")}
        ),
    ),
    (
        "Variables-Must-Be-Referenced",
        template(variables={"idle": 1}),
        template(resource(tags="[variables('busy')]"), variables={"busy": 1}),
    ),
    (
        "apiVersions-Should-Be-Recent",
        template(resource(apiVersion="2024-11-22")),
        template(resource(apiVersion="2024-11-23")),
    ),
    ("apiVersions-Should-Be-Recent", template(resource(apiVersion="2026-10-01-preview")), template(resource())),
    ("Template-Should-Not-Contain-Blanks", template(resource(tags="")), template(resource(tags="a"))),
    (
        "DeploymentTemplate-Schema-Is-Correct",
        {**template(), "$schema": "https://example.com/deploymentTemplate.json"},
        template(),
    ),
    (
        "DependsOn-Best-Practices",
        template(resource(dependsOn=["[concat('Microsoft.Test/', 'other')]"])),
        template(resource(dependsOn=["[resourceId('Microsoft.Test/things', 'other')]"])),
    ),
)
