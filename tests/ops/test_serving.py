"""The apps answer the first who asks as soon as any other."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import routing

from ops import serving
from ops.serving import APPS, create_apps, one_origin
from tests.nowhere import settings_of_nobody


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
