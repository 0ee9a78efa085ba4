"""Of each rule of forms, what it finds, the like of it that it lets pass, and parameters of the template beside it."""

from collections.abc import Sequence
from typing import Any

from template_examples import SECRET, parameter

from mandate.infra.form_rules import SCHEMA


def form(*elements: dict[str, Any], basics: Sequence[dict[str, Any]] = (), **outputs: str) -> dict[str, Any]:
    return {
        "$schema": SCHEMA,
        "handler": "Microsoft.Azure.CreateUIDef",
        "version": "0.1.2-preview",
        "parameters": {
            "basics": list(basics),
            "steps": [{"name": "one", "elements": list(elements)}],
            "outputs": {"location": "[location()]", **outputs},
        },
    }


def element(kind: str, name: str = "it", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "toolTip": "What it is.", **more}


TEXT = "Microsoft.Common.TextBox"
PASSWORD = "Microsoft.Common.PasswordBox"
SIZES = "Microsoft.Compute.SizeSelector"
WELL = {"regex": "^[a-z]+$", "validationMessage": "Lower case letters."}
LONG = {"regex": "^.{12,}$", "validationMessage": "Twelve characters."}
LOCATION = {"location": parameter("string")}
HIDDEN = {"hideConfirmation": True}
EXISTING = element("Microsoft.Network.VirtualNetworkCombo")


def choice(*values: str) -> dict[str, Any]:
    allowed = [{"label": value, "value": value} for value in values]
    return element("Microsoft.Common.DropDown", constraints={"allowedValues": allowed})


FORMS: Sequence[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = (
    ("CreateUIDefinition-Should-Have-Schema", {**form(), "$schema": "https://example.com/"}, form(), {}),
    ("Handler-Must-Be-Correct", {**form(), "handler": "Mine"}, form(), {}),
    ("Location-Should-Be-In-Outputs", {**form(), "parameters": {"outputs": {}}}, form(), {}),
    ("Outputs-Must-Be-Present-In-Template-Parameters", form(more="x"), form(managedIdentity="x"), {}),
    (
        "Parameters-Without-Default-Must-Exist-In-CreateUIDefinition",
        form(),
        form(needed="x"),
        {"needed": parameter("string"), "other": parameter("string", defaultValue="")},
    ),
    (
        "Controls-In-Outputs-Must-Exist",
        form(element(TEXT, constraints=WELL), given="[steps('one').that]"),
        form(element(TEXT, constraints=WELL), given="[steps('one').it]"),
        {"given": parameter("string")},
    ),
    (
        "Controls-In-Outputs-Must-Exist",
        form(given="[basics('it')]"),
        form(basics=[element(TEXT, constraints=WELL)], given="[basics('it')]"),
        {"given": parameter("string")},
    ),
    (
        "Allowed-Values-Should-Actually-Be-Allowed",
        form(choice("a", "b"), given="[steps('one').it]"),
        form(choice("a"), given="[steps('one').it]"),
        {"given": parameter("string", allowedValues=["a"])},
    ),
    ("Textboxes-Are-Well-Formed", form(element(TEXT)), form(element(TEXT, constraints=WELL)), {}),
    (
        "Textboxes-Are-Well-Formed",
        form(element(TEXT, constraints={"regex": "^(", "validationMessage": "?"})),
        form(),
        {},
    ),
    (
        "Validations-Must-Have-Message",
        form(element(TEXT, constraints={"validations": [{"regex": "a"}]})),
        form(element(TEXT, constraints={"validations": [{"regex": "a", "message": "Only a."}]})),
        {},
    ),
    ("Tooltips-Should-Be-Present", form({"name": "it", "type": "Microsoft.Common.CheckBox"}), form(choice("a")), {}),
    (
        "Usernames-Should-Not-Have-A-Default",
        form(element("Microsoft.Compute.UserNameTextBox", defaultValue="admin")),
        form(element("Microsoft.Compute.UserNameTextBox")),
        {},
    ),
    (
        "Password-Textboxes-Must-Be-Used-For-Password-Parameters",
        form(element(TEXT, constraints=WELL), secret="[steps('one').it]"),
        form(element(PASSWORD, constraints=LONG), secret="[steps('one').it]"),
        SECRET,
    ),
    ("PasswordBoxes-Must-Have-Min-Length", form(element(PASSWORD)), form(element(PASSWORD, constraints=LONG)), {}),
    (
        "Credential-Confirmation-Should-Not-Be-Hidden",
        form(element(PASSWORD, constraints=LONG, options=HIDDEN)),
        form(element(PASSWORD, constraints=LONG)),
        {},
    ),
    (
        "HideExisting-Must-Be-Correctly-Handled",
        form(EXISTING),
        form(EXISTING, networkResourceGroup="x", networkNewOrExisting="x"),
        {"networkResourceGroup": parameter("string"), "networkNewOrExisting": parameter("string")},
    ),
    (
        "VMSizes-Must-Match-Template",
        form(element(SIZES, recommendedSizes=["Standard_D4"]), size="[steps('one').it]"),
        form(element(SIZES, recommendedSizes=["Standard_D2"]), size="[steps('one').it]"),
        {"size": parameter("string", defaultValue="Standard_D2")},
    ),
    ("CreateUIDefinition-Must-Not-Have-Blanks", form(element("Microsoft.Common.CheckBox", label="")), form(), {}),
)
