"""What of a URL and of a peer's words may stand in a log or an error's message. Nothing is logged here."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape what is not to be shown: control characters (line breaks, the escapes of terminals) and those that change
    the direction of a line. Everything else stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def public(url: str) -> str:
    """Leave out what may be secret: user, password, query. The URL of an incoming connection is what the peer made of it,
    so it is taken apart by hand: `urlsplit` refuses some.
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return printable(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}")
