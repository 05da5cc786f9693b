"""The exception classes: families, fields, pickling."""

import pickle
from typing import Any

import pytest

from voxwire import errors

FAMILIES: dict[str, type | tuple[type, ...]] = {
    "InvalidURL": ValueError,
    "InvalidParameter": ValueError,
    "InvalidState": RuntimeError,
    "ConnectError": OSError,
    "NameResolutionError": errors.ConnectError,
    "TLSError": errors.ConnectError,
    "HandshakeError": errors.ConnectError,
    "ProxyError": errors.ConnectError,
    "RedirectError": errors.HandshakeError,
    "ConnectTimeout": (errors.ConnectError, TimeoutError),
    "ConnectionClosed": errors.VoxwireError,
    "ProtocolError": errors.VoxwireError,
    "MessageTooBig": errors.ProtocolError,
    "KeepaliveTimeout": TimeoutError,
    "TransportError": OSError,
    "MediaError": ValueError,
    "MediaBufferFull": BufferError,
    "SendBufferFull": BufferError,
    "AudioRouteError": ValueError,
    "ForkedError": RuntimeError,
    "VoxwireError": Exception,
}
FIELDS: dict[str, dict[str, Any]] = {
    "InvalidParameter": {"field": "a", "value": 1, "expected": "2"},
    "MediaError": {"field": "a", "value": 1, "expected": "2"},
    "HandshakeError": {"status": 403, "headers": [("a", "b")], "body": b"no"},
    "ProxyError": {"proxy": "http://h:1", "status": 407, "headers": [("a", "b")], "body": b"no"},
    "RedirectError": {"status": 302, "headers": [("Location", "file:///")], "body": b"go"},
    "ConnectionClosed": {"code": 1011, "reason": "r", "wasClean": True},
    "ProtocolError": {"close_code": 1002},
    "MessageTooBig": {"close_code": 1009},
}


def test_table_is_complete() -> None:
    assert sorted(FAMILIES) == sorted(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error(name: str) -> None:
    kind = getattr(errors, name)
    family = FAMILIES[name]
    bases = family if isinstance(family, tuple) else (family,)
    assert issubclass(kind, (errors.VoxwireError,))
    assert all(issubclass(kind, base) for base in bases)
    plain = kind("what happened")
    assert str(plain) == "what happened"
    fields = FIELDS.get(name, {})
    error = pickle.loads(pickle.dumps(kind("what happened", **fields)))
    assert type(error) is kind
    assert str(error) == "what happened"
    assert {field: getattr(error, field) for field in fields} == fields
