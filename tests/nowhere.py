"""A Bayledger that is nowhere: its apps can be made and looked at, and reach nothing."""

from pathlib import Path

from eventlog.settings import Settings


def settings_of_nobody(folder: Path) -> Settings:
    services = ("reception", "workshop", "customer_care")
    return Settings.model_validate(
        {
            **{
                f"{name}_db": "postgresql://nobody@127.0.0.1:1/nothing"
                for name in (*services, "ledger", "keys")
            },
            **{f"{name}_url": "http://127.0.0.1:1" for name in services},
            "nats_url": "nats://127.0.0.1:1",
            "secrets": folder,
            "checkpoints": folder,
            "jwks": str(folder / "jwks.json"),
        }
    )
