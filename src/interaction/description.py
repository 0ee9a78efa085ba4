"""The API's own description, made exact where the framework's is not."""

from typing import Any

from fastapi import FastAPI


def describe_exactly(app: FastAPI) -> None:
    """Leave `null` out of what parameters may be: a query or a header leaves a value out, it cannot say null."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for operations in document["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] = _without_null(parameter["schema"])
        return document

    app.openapi = openapi


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    others = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(others) != 1:
        return schema
    return {**others[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
