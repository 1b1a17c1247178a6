"""The apps answer the first who asks as soon as any other."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import routing

from access.issuer import Issuer
from eventlog.settings import Settings
from ops import serving
from ops.serving import APPS, create_apps, one_origin


def settings_of_nobody(folder: Path) -> Settings:
    Issuer(folder)
    databases = ("reception", "workshop", "customer_care", "ledger", "keys")
    return Settings.model_validate(
        {
            **{f"{name}_db": "postgresql://nobody@127.0.0.1:1/none" for name in databases},
            **{f"{name}_url": "http://127.0.0.1:1" for name in databases[:3]},
            "nats_url": "nats://127.0.0.1:1",
            "secrets": str(folder),
            "checkpoints": str(folder / "checkpoints"),
            "jwks": str(folder / "jwks.json"),
        }
    )


@pytest.mark.parametrize("made", [True, False])
async def test_nobody_waits_for_routes_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """And if they were not made, the first who asks would: the control."""
    if not made:
        monkeypatch.setattr(serving, "make_routes", lambda app: None)
    origin = one_origin(create_apps(settings_of_nobody(tmp_path), APPS))
    waited = list[Any]()
    make = routing._IncludedRouter._build_effective_context

    def noting(router: Any, route: Any) -> Any:
        waited.append(route)
        return make(router, route)

    monkeypatch.setattr(routing._IncludedRouter, "_build_effective_context", noting)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=origin), base_url="http://test")
    async with client:
        for name in APPS:
            await client.get(f"/{name}/nowhere" if name != "projections" else "/nowhere")
    assert (not waited) == made
