"""`mandate env load`: write an environment's values and flags into its App Configuration store.

A template cannot write to a private store, so a job inside the network runs this. What is as it should be is left
alone; what is not in the files any more is deleted; the sentinel comes last, so that everything is read anew together.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from core.errors import Unavailable
from mandate.configuration.app_configuration import SENTINEL
from mandate.configuration.files import Files
from mandate.configuration.live import version_of
from mandate.configuration.tree import Tree, filled, flags_of, leaves, parse
from web import make_credential

if TYPE_CHECKING:
    from azure.appconfiguration import ConfigurationSetting
    from azure.appconfiguration.aio import AzureAppConfigurationClient

JSON = "application/json"
FLAG = "application/vnd.microsoft.appconfig.ff+json;charset=utf-8"
FLAG_KEY = ".appconfig.featureflag/"
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many keys were written and how many deleted; `version` is that of the values."""

    written: int
    deleted: int
    version: str


async def load(environments: Path, name: str, endpoint: str, client_id: str, ca_file: Path | None = None) -> Loaded:
    """Make the store hold what the files of the environment `name` say, and nothing else under its label.

    Raises:
        Defect: the files are no good; nothing was written (`defect.configuration`).
        Unavailable: the store does not answer, or refuses (`dependency.configuration`).
    """
    tree = await Files(environments, name).read()
    parse(tree)
    async with opened(endpoint, client_id, ca_file) as client:
        return await _written(client, name, tree)


@asynccontextmanager
async def opened(
    endpoint: str, client_id: str, ca_file: Path | None = None
) -> AsyncGenerator["AzureAppConfigurationClient"]:
    """Give a client that may write, for two minutes at most.

    Raises:
        Unavailable: the store does not answer, or refuses (`dependency.configuration`).
    """
    from azure.appconfiguration.aio import AzureAppConfigurationClient
    from azure.core.exceptions import AzureError

    verify = {"connection_verify": str(ca_file)} if ca_file else {}
    try:
        async with (
            asyncio.timeout(_TIMEOUT_SECONDS),
            await asyncio.to_thread(make_credential, client_id) as credential,
            AzureAppConfigurationClient(endpoint, credential, **verify) as client,
        ):
            yield client
    except (AzureError, TimeoutError) as error:
        message = "The configuration store does not answer, or does not let this identity write. Run it again."
        raise Unavailable(message, code="dependency.configuration") from error


async def kept(client: "AzureAppConfigurationClient", label: str) -> "Mapping[str, ConfigurationSetting]":
    """Return everything that the store has under a label, by its key."""
    return {one.key: one async for one in client.list_configuration_settings(key_filter="*", label_filter=label)}


def flag_setting(label: str, flag: Tree) -> "ConfigurationSetting":
    """Return a flag as the store keeps it."""
    return _setting(f"{FLAG_KEY}{flag['id']}", label, _json(filled(dict(flag))), FLAG)


async def _written(client: "AzureAppConfigurationClient", label: str, tree: Tree) -> Loaded:
    wanted, version = _settings(tree), version_of(tree)
    found = await kept(client, label)
    stale = [key for key, one in wanted.items() if not _same(found.get(key), one)]
    gone = [key for key in found if key not in wanted and key != SENTINEL]
    for key in stale:
        await client.set_configuration_setting(_setting(key, label, *wanted[key]))
    for key in gone:
        await client.delete_configuration_setting(key, label)
    if stale or gone or not _same(found.get(SENTINEL), (version, None)):
        await client.set_configuration_setting(_setting(SENTINEL, label, version, None))
    return Loaded(len(stale), len(gone), version)


def _settings(tree: Tree) -> Mapping[str, tuple[str, str | None]]:
    """Return value and content type of each key."""
    values = {key: value for key, value in tree.items() if key != "flags"}
    flags = {f"{FLAG_KEY}{flag['id']}": (_json(filled(dict(flag))), FLAG) for flag in flags_of(tree)}
    # The provider keeps the last flag when there is none any more: so there always is one, which the reader leaves out.
    flags[f"{FLAG_KEY}{SENTINEL}"] = (_json({"id": SENTINEL, "enabled": False}), FLAG)
    return {key: (_json(value), JSON) for key, value in leaves(values).items()} | flags


def _json(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _same(found: "ConfigurationSetting | None", wanted: tuple[str, str | None]) -> bool:
    if found is None or found.content_type != wanted[1]:
        return False
    if found.content_type == FLAG:
        return filled(json.loads(str(found.value))) == json.loads(wanted[0])
    return found.value == wanted[0]


def _setting(key: str, label: str, value: str, content_type: str | None) -> "ConfigurationSetting":
    from azure.appconfiguration import ConfigurationSetting

    return ConfigurationSetting(key=key, label=label, value=value, content_type=content_type)
