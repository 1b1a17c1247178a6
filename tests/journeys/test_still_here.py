"""A board on which nothing happens."""

import asyncio


async def test_a_quiet_stream_shows_that_it_lives(quiet_stream: "asyncio.Task[list[str]]") -> None:
    lines = await asyncio.wait_for(quiet_stream, 30)
    assert any(line.startswith(":") for line in lines)
