"""What a process is told by its environment. Names are those of `environments/services.yaml`."""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]
"""Where `agents/` and `environments/` are."""


class Settings(BaseSettings):
    """Read once, at start. An unset setting that a service needs is named by `services.check`."""

    model_config = SettingsConfigDict(env_prefix="MANDATE_", extra="ignore", frozen=True)

    environment: Literal["local", "dev", "staging", "prod"] = "local"
    configuration: str = ""
    """URL of the App Configuration store for what changes while the product runs; empty: files of `environments`."""
    store: str = ""
    """Path of the SQLite file, or URL of the Cosmos DB account; its path, if any, is the name of the database."""
    blobs: str = ""
    """URL of the storage account for large content, beside Cosmos DB."""
    store_regions: str = ""
    """Regions of the Cosmos DB account to prefer, by their names, best first, with commas between."""
    erasure_journal: str = ""
    """Where every erasure is noted, so that a restore undoes none: a file outside of the store's backups, or URL of a
    blob container with an immutability policy."""
    evidence_key: str = ""
    """What signs evidence: path of a file, made if it is not there, or URL of a key with its version in Key Vault."""
    evidence_anchor: str = ""
    """Where checkpoints are anchored: path of a folder, or URL of a blob container with an immutability policy."""
    checkpoint_minutes: float = Field(default=10, gt=0)
    """So often a checkpoint is made of each tenant's evidence, if anything was appended."""
    identity_issuer: str = ""
    """Issuer of users' and services' tokens, with `{tid}` where the Entra tenant id stands."""
    identity_jwks: str = ""
    public_url: str = ""
    """Where people reach the product, such as `https://mandate.example`; links to it begin with it."""
    console_client_id: str = ""
    """The console's app registration, which trusts the identity of the interaction service."""
    sources_client_id: str = ""
    """The app registration that customers consent to in their own tenant, for sources that they keep themselves."""
    orchestration_url: str = ""
    orchestration_candidate_url: str = ""
    """Of the revision of orchestration that tenants with the flag `candidate` reach instead; empty: there is none."""
    control_url: str = ""
    backoffice_url: str = ""
    pages: str = ""
    """Addresses under which agents may read public pages, each with a slash at its end, with commas between."""
    content_safety_endpoint: str = ""
    """URL of an Azure AI Content Safety resource, whose Prompt Shields then look at what agents read."""
    ca_file: Path | None = None
    """Certificate authority to trust besides the system's: the laptop's own."""
    front_identity: str = ""
    """Laptop only: the identity provider that is reached through the public port, under `/identity`."""
    front_shop: str = ""
    """Laptop only: the marketplace that is reached through the public port, under `/shop`."""
    marketplace_url: str = ""
    """Of the marketplace's API; empty where the product is not sold there."""
    marketplace_client_id: str = ""
    """The app registration that the offer names, which trusts the identity of the control service."""
    marketplace_tenant: str = ""
    """The publisher's own Entra tenant, which the offer names."""
    applications_secret: str = Field(default="", repr=False)
    """What notifications of managed applications carry as `sig`, from Key Vault in Azure; empty where none is sold."""
    arm_url: str = ""
    """Azure Resource Manager, of the cloud that the stamp is in; needed where managed applications are sold."""
    heartbeat_url: str = ""
    """Of the publisher, in a stamp that a customer hosts and has tell of itself; empty where it does not."""
    heartbeat_audience: str = ""
    """The publisher's API, for which the stamp's token is."""
    publisher_controls: bool = False
    """Hybrid: the publisher's control plane says what may be done here; it is asked at `heartbeat_url`."""
    otlp_endpoint: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    insights: str = Field(default="", validation_alias="APPLICATIONINSIGHTS_CONNECTION_STRING")
    """Where telemetry goes in Azure; the service's identity proves who sends it."""
    instance: str = Field(default_factory=lambda: os.environ.get("CONTAINER_APP_REPLICA_NAME", ""))
    """Name of this replica: no other's at the same time, and kept by its next process, which takes over at once."""
    readers: int = Field(default=2, ge=1)
    """So many files are read at once, each in a process of its own."""
    root: Path = ROOT

    @cached_property
    def folder(self) -> Path:
        """The folder of this environment's values."""
        return self.root / "environments" / self.environment

    @cached_property
    def is_local(self) -> bool:
        return self.environment == "local"
