"""How the publisher's side of the marketplace is put together, where one is set."""

from control import (
    Acts,
    Desk,
    Landings,
    Ledger,
    ManagedApplications,
    MarketplaceServices,
    Metering,
    Subscriptions,
    WebhookCallers,
    billed_subscriptions,
)
from control.marketplace_api import RESOURCE as MARKETPLACE
from control.marketplace_api import Arm, MarketplaceApi
from mandate.host import Host
from mandate.plans import load_terms, load_units, offered
from web import AzureServiceTokens, CustomerTokens, TokenValidator

ARM = "https://management.azure.com"
"""The audience of tokens for Azure Resource Manager, wherever a laptop has it."""


def marketplace_services(host: Host, tokens: AzureServiceTokens) -> MarketplaceServices:
    settings = host.settings
    publisher = CustomerTokens(
        issuer=settings.identity_issuer,
        client_id=settings.marketplace_client_id,
        identity=tokens,
        session=host.session,
    )
    api = MarketplaceApi(
        settings.marketplace_url,
        lambda: publisher.token(settings.marketplace_tenant, f"{MARKETPLACE}/.default"),
        host.session,
    )
    validator = TokenValidator(
        issuer_template=settings.identity_issuer,
        jwks_uri=settings.identity_jwks,
        audience=settings.marketplace_client_id,
        session=host.session,
        clock=host.clock,
        v1_issuer_template="https://sts.windows.net/{tid}/",
    )
    subscriptions = Subscriptions(
        host.store, host.clock, api, host.directory, host.erasures, host.access, load_terms(settings)
    )
    return MarketplaceServices(
        callers=WebhookCallers(validator, settings.marketplace_tenant, MARKETPLACE),
        desk=Desk(host.store, host.clock, api, subscriptions),
        landings=Landings(host.store, host.clock, api, subscriptions),
        metering=Metering(
            host.store,
            host.clock,
            api,
            Ledger(host.store, load_units(settings)),
            lambda: billed_subscriptions(subscriptions, host.entitlements, host.clock.now()),
        ),
        subscriptions=subscriptions,
        acts=Acts(host.store, host.clock, api, subscriptions),
        offer=offered(settings),
        marketplace=api,
        applications=_applications(host, tokens) if settings.applications_secret else None,
        stamps=host.validator(host.services.services["interaction"].audience),
    )


def _applications(host: Host, tokens: AzureServiceTokens) -> ManagedApplications:
    settings = host.settings
    arm = Arm(settings.arm_url, lambda: tokens.token(f"{ARM}/.default"), host.session)
    return ManagedApplications(
        host.store,
        host.clock,
        arm,
        host.directory,
        host.access,
        load_terms(settings),
        secret=settings.applications_secret,
        product=offered(settings).application,
    )
