"""TLS settings, as people write them. The files are read and checked in the core."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike, fspath
from typing import Literal

from . import _core
from .checks import refuse

Path = str | PathLike[str]
_SHA256 = 32  # bytes


@dataclass(frozen=True)
class TLSOptions:
    """How to trust a server and show who we are. Without it: the system's root certificates, TLS 1.2 or newer.

    The files (PEM) are read once, when the object is first used; reuse it for many connections. An `ssl.SSLContext` is
    accepted in its place, see `from_context`.
    """

    ca_file: Path | None = None
    """Trust these certificate authorities instead of the system's."""
    cert_file: Path | None = None
    """The client's certificate chain; needs `key_file`."""
    key_file: Path | None = None
    """The client's private key; needs `cert_file`."""
    server_name: str | None = None
    """The name the server's certificate must have, and SNI; None: the host of the URL."""
    fingerprint: str | None = None
    """Accept exactly the certificate with this SHA-256 fingerprint (64 hexadecimal digits, colons are fine), whoever
    issued it and whatever its name. Get it with `openssl x509 -noout -fingerprint -sha256`."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS to agree to. Older ones than 1.2 do not exist here."""
    dangerously_trust_anybody: bool = False
    """Check nothing: the connection is encrypted, but nobody knows with whom. For tests on one's own machine."""
    _certificates: tuple[bytes, ...] | None = field(default=None, repr=False)
    _any_name: bool = False
    _only_12: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file. Raises InvalidParameter."""
        if self.minimum_version not in ("1.2", "1.3"):
            refuse("minimum_version", self.minimum_version, '"1.2" or "1.3"')
        if self.fingerprint is not None:
            _digest(self.fingerprint)
            if self.dangerously_trust_anybody or self.ca_file is not None:
                other = "ca_file" if self.ca_file is not None else "dangerously_trust_anybody"
                refuse("fingerprint", self.fingerprint, f"no {other} beside it: the fingerprint alone decides")

    @classmethod
    def from_context(cls, context: ssl.SSLContext) -> TLSOptions:
        """Take over the settings of a client's `ssl.SSLContext`: authorities, verification mode, hostname check, versions.

        A context without certificates that can be listed (`get_ca_certs`) stands for the system's authorities. What
        cannot be honoured raises InvalidParameter: versions below TLS 1.2 alone, CRL checks, own ciphers, a key log, post-handshake
        authentication, a server's context. A client certificate cannot be read out of a context, and nothing tells that
        there is one: name its files with `TLSOptions(cert_file=…, key_file=…)` instead.
        """
        if context.protocol is ssl.PROTOCOL_TLS_SERVER:
            refuse("ssl.SSLContext.protocol", context.protocol.name, "a client's context")
        if context.verify_flags & (ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN):
            refuse("ssl.SSLContext.verify_flags", context.verify_flags, "no CRL checks: the core has none")
        if context.keylog_filename is not None:
            refuse("ssl.SSLContext.keylog_filename", context.keylog_filename, "None: the core logs no keys")
        if context.post_handshake_auth:
            refuse("ssl.SSLContext.post_handshake_auth", value=True, expected="False: the core has none")
        if _ciphers(context) not in (
            _ciphers(ssl.SSLContext(context.protocol)),
            _ciphers(ssl.create_default_context()),
        ):
            refuse("ssl.SSLContext.get_ciphers()", len(_ciphers(context)), "the default: the core has its own ciphers")
        twelve, thirteen = _versions(context)
        if not (twelve or thirteen):
            refuse("ssl.SSLContext.maximum_version", context.maximum_version.name, "TLS 1.2 or 1.3")
        blind = context.verify_mode is ssl.CERT_NONE
        return cls(
            minimum_version="1.2" if twelve else "1.3",
            dangerously_trust_anybody=blind,
            _certificates=tuple(context.get_ca_certs(binary_form=True)) or None,
            _any_name=not blind and not context.check_hostname,
            _only_12=not thirteen,
        )

    @cached_property
    def _config(self) -> _core.TlsConfig:
        trust = "any_name" if self._any_name else "full"
        if self.fingerprint is not None:
            trust = "pinned"
        elif self.dangerously_trust_anybody:
            trust = "anybody"
        versions = "1.3" if self.minimum_version == "1.3" else "both"
        return _core.TlsConfig.client(
            ca_file=_path(self.ca_file),
            ca_certificates=self._certificates,
            trust=trust,
            fingerprint=None if self.fingerprint is None else _digest(self.fingerprint),
            versions="1.2" if self._only_12 else versions,
            cert_file=_path(self.cert_file),
            key_file=_path(self.key_file),
            server_name=self.server_name,
        )


@dataclass(frozen=True)
class ServerTLSOptions:
    """A server's certificate, and whether clients need one. TLS 1.2 or newer, ALPN http/1.1.

    The files (PEM) are read at first use, and again by `WebSocketServer.reload_tls`.
    """

    cert_file: Path
    """The server's certificate chain."""
    key_file: Path
    """Its private key."""
    client_ca_file: Path | None = None
    """Clients show a certificate of these authorities; None: they are not asked for one."""
    client_certificate: Literal["required", "optional"] = "required"
    """With `client_ca_file`: whether a client without a certificate is turned away in the TLS handshake, or let in. A
    certificate that is not good is never let in. `process_request` sees it (`IncomingRequest.certificate`)."""

    def __post_init__(self) -> None:
        """Check what can be checked without reading a file. Raises InvalidParameter."""
        if self.client_certificate not in ("required", "optional"):
            refuse("client_certificate", self.client_certificate, '"required" or "optional"')
        if self.client_certificate == "optional" and self.client_ca_file is None:
            refuse("client_certificate", self.client_certificate, "a client_ca_file to check certificates with")

    def _read(self) -> _core.TlsConfig:
        return _core.TlsConfig.server(
            fspath(self.cert_file),
            fspath(self.key_file),
            _path(self.client_ca_file),
            client_required=self.client_certificate == "required",
        )

    @cached_property
    def _config(self) -> _core.TlsConfig:
        return self._read()


def _path(path: Path | None) -> str | None:
    return None if path is None else fspath(path)


def _digest(fingerprint: str) -> bytes:
    try:
        digest = bytes.fromhex(fingerprint.replace(":", ""))
    except (AttributeError, ValueError):
        digest = b""
    if len(digest) != _SHA256:
        refuse("fingerprint", fingerprint, "a SHA-256 fingerprint: 64 hexadecimal digits")
    return digest


def _ciphers(context: ssl.SSLContext) -> list[str]:
    return [cipher["name"] for cipher in context.get_ciphers()]


def _versions(context: ssl.SSLContext) -> tuple[bool, bool]:
    """Answer whether a context allows TLS 1.2, and 1.3."""
    low, high = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED

    def allows(version: ssl.TLSVersion, switched_off: ssl.Options) -> bool:
        above = context.minimum_version in (low, version) or context.minimum_version < version
        below = context.maximum_version in (high, version) or context.maximum_version > version
        return above and below and not context.options & switched_off

    return allows(ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2), allows(ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3)
