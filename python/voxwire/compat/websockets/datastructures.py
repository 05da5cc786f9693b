"""`Headers`: HTTP headers by name, whatever their case, with all values of each in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from .exceptions import InvalidHeaderValue

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]


class MultipleValuesError(LookupError):
    """A header has several values where one was asked for."""

    def __str__(self) -> str:
        return repr(self.args[0]) if len(self.args) == 1 else super().__str__()


_valid = re.compile(r"[\x09\x20-\x7e\x80-\xff]*").fullmatch


class Headers(MutableMapping[str, str]):
    """HTTP headers.

    `headers[name]` is the one value of a header; it raises KeyError if there is none and MultipleValuesError if there are
    several. `headers[name] = value` adds a value, `del headers[name]` removes them all. `get_all` and `raw_items` see every
    value. Bytes beyond ASCII are ISO-8859-1.
    """

    __slots__ = ("_items", "_values")

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        """Take what `dict` takes, or other headers."""
        self._values: dict[str, list[str]] = {}
        self._items: list[tuple[str, str]] = []
        if args or kwargs:
            self.update(*args, **kwargs)

    def __str__(self) -> str:
        return "".join([f"{name}: {value}\r\n" for name, value in self._items]) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def copy(self) -> Headers:
        """Answer headers of their own with the same values."""
        copy = type(self)()
        copy._values = {name: list(values) for name, values in self._values.items()}
        copy._items = list(self._items)
        return copy

    def serialize(self) -> bytes:
        """Answer the headers as they go over the network, the empty line included."""
        return str(self).encode("iso-8859-1")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, key: str) -> str:
        values = self._values[key.lower()]
        if len(values) != 1:
            raise MultipleValuesError(key)
        return values[0]

    def __setitem__(self, key: str, value: str) -> None:
        if _valid(str(value)) is None:
            raise InvalidHeaderValue(key, value)
        self.set_insecure(key, value)

    def __delitem__(self, key: str) -> None:
        name = key.lower()
        del self._values[name]
        self._items = [item for item in self._items if item[0].lower() != name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def clear(self) -> None:
        """Remove all headers."""
        self._values = {}
        self._items = []

    def update(self, *args: Any, **kwargs: str) -> None:
        """Add from other headers, a mapping or pairs, and from keyword arguments."""
        super().update(*(arg.raw_items() if isinstance(arg, Headers) else arg for arg in args), **kwargs)

    def get_all(self, key: str) -> list[str]:
        """Answer all values of a header, none if it is not there."""
        return self._values.get(key.lower(), [])

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Iterate over all names and values as they were given."""
        return iter(self._items)

    def set_insecure(self, key: str, value: str) -> None:
        """Add a value without checking it."""
        self._values.setdefault(key.lower(), []).append(value)
        self._items.append((key, value))


class SupportsKeysAndGetItem(Protocol):
    """Whatever is like a dict of str."""

    def keys(self) -> Iterable[str]:
        """Answer the names."""
        ...

    def __getitem__(self, key: str) -> str: ...


HeadersLike = Headers | Mapping[str, str] | Iterable[tuple[str, str]] | SupportsKeysAndGetItem
"""What is taken as headers."""
