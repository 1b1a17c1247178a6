"""The configuration: environment variables `BAYLEDGER_…`, the same names on a laptop and in compose."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="BAYLEDGER_", env_ignore_empty=True, extra="ignore")

    nats_url: str = Field(
        description="Address of the NATS server, with its user and the file of that user's seed:"
        " `nats://<user>@<host>:4222?seed=<file>`"
    )
    reception_db: str = Field(description="PostgreSQL address of reception's event store")
    workshop_db: str = Field(description="PostgreSQL address of the workshop's event store")
    customer_care_db: str = Field(description="PostgreSQL address of customer care's event store")
    ledger_db: str = Field(description="PostgreSQL address of the ledger and the projections")
    keys_db: str = Field(description="PostgreSQL address of the keys of data subjects")
    secrets: Path = Field(description="Folder of the master key, the ledger's key and the embedded issuer")
    checkpoints: Path = Field(description="Folder that receives the ledger's signed checkpoints")
    jwks: str = Field(description="Address or file of the token issuer's public keys (JWKS)")
    issuer: str = Field("bayledger-embedded", description="The `iss` tokens must carry")
    audience: str = Field("bayledger", description="The `aud` tokens must carry")
    reception_url: str = Field(description="Where the ledger reads reception's feed")
    workshop_url: str = Field(description="Where the ledger reads the workshop's feed")
    customer_care_url: str = Field(description="Where the ledger reads customer care's feed")
    feed_token: Path | None = Field(
        None,
        description="File with a token that may read the feeds; without it the embedded issuer makes one",
    )
    notifications: Path | None = Field(
        None,
        description="TOML file with the webhooks and mailboxes that hear of escalations",
    )
