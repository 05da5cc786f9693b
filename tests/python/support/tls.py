"""Certificates of a test authority, and `ssl` contexts for the independent peers."""

import ssl
from pathlib import Path

import trustme


class Certificates:
    """A certificate authority with one server (localhost) and one client."""

    def __init__(self, authority: trustme.CA, directory: Path) -> None:
        self.authority = authority
        self.ca = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server_cert, self.server_key = self._write(directory, "server", authority.issue_cert("localhost"))
        self.client_cert, self.client_key = self._write(directory, "client", authority.issue_cert("client@test"))

    @staticmethod
    def _write(directory: Path, name: str, leaf: trustme.LeafCert) -> tuple[Path, Path]:
        cert, key = directory / f"{name}.pem", directory / f"{name}.key"
        cert.unlink(missing_ok=True)
        for blob in leaf.cert_chain_pems:
            blob.write_to_path(cert, append=True)
        leaf.private_key_pem.write_to_path(key)
        return cert, key

    def server_context(self, *, want_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_cert, self.server_key)
        if want_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def client_context(self, *, show: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if show:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context
