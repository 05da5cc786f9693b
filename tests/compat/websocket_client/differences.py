"""Scenarios in which the two libraries differ, and why that stays. A scenario that does not differ must not be here."""

from __future__ import annotations

_CLOSED_IN_ON_OPEN = (
    "close() in on_open (or on_reconnect): the original then runs into an AttributeError of its own, tells on_error of it, "
    "and run_forever answers True; here it is an end like any other"
)

DIFFERENCES: dict[str, str] = {
    "connecting_again_until_it_works": _CLOSED_IN_ON_OPEN,
    "headers_of_a_function": _CLOSED_IN_ON_OPEN,
    "run_twice": _CLOSED_IN_ON_OPEN,
    "text_in_a_frame_without_a_mask": (
        "a frame without a mask whose data is text: the original writes the number of characters as its length, which is "
        "wrong for text that is not ASCII; here it is the number of bytes"
    ),
}
