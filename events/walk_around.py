"""The walk-around: what is looked at, in which order, and what the colours under the bonnet mean."""

from typing import Literal, TypeAlias, get_args

Item: TypeAlias = Literal[
    "windscreen",
    "roof",
    "tyres",
    "interior_trim",
    "radio",
    "seat_belts",
    "bonnet_catch",
    "left_side",
    "rear_seats",
    "rear_bumper",
    "rear_lights",
    "boot_lid",
    "rear_window",
    "right_side",
    "headlights",
    "front_bumper",
    "engine_bay",
]
ITEMS: tuple[Item, ...] = get_args(Item)
"""In the order in which somebody walks around the vehicle: the bonnet comes last (R-37, R-38)."""

ENGINE_BAY = {"yellow": "operator_checks", "red": "do_not_touch", "black": "better_not_open"}
"""Colour → what to do with a thing that has it (R-39)."""
