"""A small day of three sites; `python -m tests.day` plays a large one."""

from pathlib import Path

from tests.day import day


async def test_a_day_leaves_no_vehicle_no_message_and_a_good_chain(tmp_path: Path) -> None:
    """P-01: from the appointment to the gate, through the queue, the workshop and the cashier."""
    assert await day(visits=9, folder=tmp_path)
