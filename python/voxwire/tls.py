"""TLS settings, as people write them. The files are read and checked in the core."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath

from . import _core

Path = str | PathLike[str]


@dataclass(frozen=True)
class TLSOptions:
    """How to trust a server and show who we are. Without it: the system's root certificates, no client certificate.

    The files (PEM) are read once, when the object is first used; reuse it for many connections.
    """

    ca_file: Path | None = None
    """Trust these certificate authorities instead of the system's."""
    cert_file: Path | None = None
    """The client's certificate chain; needs `key_file`."""
    key_file: Path | None = None
    """The client's private key; needs `cert_file`."""
    server_name: str | None = None
    """The name the server's certificate must have, and SNI; None: the host of the URL."""

    @cached_property
    def _config(self) -> _core.TlsConfig:
        return _core.TlsConfig.client(
            _path(self.ca_file), _path(self.cert_file), _path(self.key_file), self.server_name
        )


@dataclass(frozen=True)
class ServerTLSOptions:
    """A server's certificate, and whether clients need one. The files (PEM) are read once, at first use."""

    cert_file: Path
    """The server's certificate chain."""
    key_file: Path
    """Its private key."""
    client_ca_file: Path | None = None
    """Only clients with a certificate of these authorities may connect; None: anybody may."""

    @cached_property
    def _config(self) -> _core.TlsConfig:
        return _core.TlsConfig.server(fspath(self.cert_file), fspath(self.key_file), _path(self.client_ca_file))


def _path(path: Path | None) -> str | None:
    return None if path is None else fspath(path)
