"""One system of several processes for all that is done to it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.cluster import APPS, Cluster

VISITS = 30


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        await cluster.provision()
        for app in APPS:
            cluster.start(app)
        await cluster.ready(*APPS)
        yield cluster
        await cluster.client.aclose()


@pytest.fixture
async def working(cluster: Cluster) -> AsyncIterator[Cluster]:
    """People work while the test does its worst; afterwards everything must be right again."""
    before = await cluster.closed()
    people = asyncio.create_task(cluster.work(VISITS, "working"))
    await cluster.acknowledged(VISITS)
    yield cluster
    await people
    await cluster.recovered(before + VISITS)
