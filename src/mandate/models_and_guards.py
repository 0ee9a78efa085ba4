"""Which models answer and which guards look at what they are given."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from core.errors import Defect
from guards import Guard
from guards.local import LocalGuard
from guards.prompt_shields import PromptShields
from mandate.host import Host
from models import Adapter, Catalogue, ModelRouter
from models.azure_inference import AzureInferenceAdapter
from models.openai import OpenAIAdapter
from tools import Registry
from web import AzureServiceTokens


def open_guards(host: Host, registry: Registry, tokens: AzureServiceTokens) -> list[Guard]:
    """Return the guards: our own, and Prompt Shields where an endpoint is set.

    Raises:
        Defect: the endpoint is no https URL (`defect.settings`).
    """
    guards: list[Guard] = [LocalGuard(registry.names)]
    if endpoint := host.settings.content_safety_endpoint:
        if urlsplit(endpoint).scheme != "https":
            raise Defect("MANDATE_CONTENT_SAFETY_ENDPOINT must be an https URL.", code="defect.settings")
        guards.append(PromptShields(host.session, endpoint, tokens.token))
    return guards


def model_router(host: Host, tokens: AzureServiceTokens) -> ModelRouter:
    catalogue = Catalogue.load(
        host.settings.folder / "models.yaml",
        settings=os.environ,
        local=host.settings.is_local,
        today=host.clock.now().date(),
    )
    adapters: Mapping[str, Adapter] = {
        "openai": OpenAIAdapter(host.session, tokens.token),
        "azure-ai-inference": AzureInferenceAdapter(host.session, tokens.token),
    }
    return ModelRouter(catalogue, adapters, host.clock)
