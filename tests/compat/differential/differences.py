"""The differences that are left, each with its reason. A scenario that is listed must differ, one that is not must not."""

DIFFERENCES: dict[str, str] = {
    "receiving.marks_that_make_no_sense": "a ValueError from connect() itself; the original's goes to the loop's exception "
    "handler, and connect() fails with an AttributeError",
    "opening.a_proxy_that_hangs_up": "the original raises a second EOFError in the loop, which goes to its exception handler",
    "values.protocols_without_io": "events of a client's protocol have payloads of bytes; the original's are bytearrays",
}
