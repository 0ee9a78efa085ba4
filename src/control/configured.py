"""What the configuration was when it was last good: to record its changes, and for a process that finds no good one."""

from typing import ClassVar

from pydantic import ConfigDict, JsonValue

from data import Record


class ConfigurationRecord(Record):
    """In the publisher's tenant. Key: `CONFIGURATION_KEY`.

    Attributes:
        version: hash of the values.
        values: the tree. There is no secret in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "configuration"
    version: str
    values: dict[str, JsonValue]


CONFIGURATION_KEY = "current"
