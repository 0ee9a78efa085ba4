"""The tree in Azure App Configuration, through Microsoft's provider; over the files of the image, which it completes.

One key for each value, `plans:team:budget:micros`, with JSON in it; the label is the environment. Only a change of the
sentinel has everything read anew, so that several values change together.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import JsonValue

from core.errors import Defect, Unavailable
from mandate.configuration.files import Files
from mandate.configuration.tree import Tree, filled, grown, merged
from web import make_credential

if TYPE_CHECKING:
    from azure.appconfiguration.provider.aio import AzureAppConfigurationProvider
    from azure.identity.aio import DefaultAzureCredential

SENTINEL = "sentinel"
"""Key of the value that is written last, and id of a flag that is no one's: see `loading`."""
REFRESH_SECONDS = 10
_TIMEOUT_SECONDS = 15.0
_FLAGS = "feature_management"
_ADDED = "telemetry"
"""What the provider adds to each flag."""


class AppConfiguration:
    """A store as a source.

    Args:
        endpoint: URL of the store.
        client_id: of the managed identity that may read it.
        files: the image's own values, for what the store does not have.
        name: of the environment, which is the label.
        ca_file: an authority to trust besides the system's.
    """

    every = float(REFRESH_SECONDS)

    def __init__(self, endpoint: str, client_id: str, files: Files, name: str, ca_file: Path | None = None) -> None:
        self._endpoint = endpoint
        self._client_id = client_id
        self._files = files
        self._name = name
        self._verify = str(ca_file) if ca_file else True
        self._provider: AzureAppConfigurationProvider | None = None
        self._credential: DefaultAzureCredential | None = None

    async def read(self) -> Tree:
        """Return the tree as it is in the store.

        Raises:
            Unavailable: the store does not answer (`dependency.configuration`).
            Defect: a value is no JSON, or is a reference to a secret (`defect.configuration`).
        """
        from azure.core.exceptions import AzureError

        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                if self._provider is None:
                    self._provider = await self._opened()
                else:
                    await self._provider.refresh()  # pyright: ignore[reportUnknownMemberType] - its `**kwargs` have no type
        except (AzureError, TimeoutError, RuntimeError) as error:  # the last where it waits before it asks again
            raise Unavailable("The configuration store does not answer.", code="dependency.configuration") from error
        except ValueError as error:  # so the provider refuses a reference that it may not follow
            message = "The configuration store has a value that cannot be read."
            raise Defect(message, code="defect.configuration") from error
        return self._tree(cast("Mapping[str, JsonValue]", self._provider))

    async def aclose(self) -> None:
        if self._provider is not None:
            await self._provider.close()
        if self._credential is not None:
            await self._credential.close()

    def _tree(self, provider: Mapping[str, JsonValue]) -> Tree:
        given = {key: value for key, value in provider.items() if key not in (SENTINEL, _FLAGS)}
        own = self._files.read_now()
        if SENTINEL not in provider:  # nothing was ever loaded into it
            return own
        features = cast("Mapping[str, Sequence[Tree]]", provider.get(_FLAGS) or {})
        flags: list[JsonValue] = [
            filled({name: value for name, value in flag.items() if name != _ADDED})
            for flag in features.get("feature_flags") or ()
            if flag.get("id") != SENTINEL
        ]
        return merged(own, grown(given), {"flags": flags})

    async def _opened(self) -> "AzureAppConfigurationProvider":
        if self._credential is None:
            self._credential = await asyncio.to_thread(make_credential, self._client_id)
        from azure.appconfiguration.provider import SettingSelector, WatchKey
        from azure.appconfiguration.provider.aio import load  # pyright: ignore[reportUnknownVariableType] - its `**kwargs` have no type
        from azure.core.pipeline.transport import AioHttpTransport

        transport = AioHttpTransport(connection_verify=self._verify)
        async with AsyncExitStack() as unless_loaded:
            unless_loaded.push_async_callback(transport.close)  # the provider leaves it open where it cannot load
            # Without a way to secrets: no setting is one, and what is read here is kept as it is.
            provider = await load(
                self._endpoint,
                self._credential,
                selects=[SettingSelector(key_filter="*", label_filter=self._name)],
                refresh_on=[WatchKey(SENTINEL, self._name)],
                refresh_interval=REFRESH_SECONDS,
                feature_flag_enabled=True,
                feature_flag_selectors=[SettingSelector(key_filter="*", label_filter=self._name)],
                feature_flag_refresh_enabled=True,
                replica_discovery_enabled=False,
                retry_total=0,
                transport=transport,
            )
            unless_loaded.pop_all()
        return provider
