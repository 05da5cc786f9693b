"""The TLS failures people meet, with `openssl s_server` as the peer: each with the words they read.

What TLSOptions and `ssl` contexts mean is in tests/python/test_tls.py, against Python's ssl.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from children import Child, needs, program
from support.log import Log
from support.pair import serving

import voxwire
from voxwire import ServerTLSOptions, TLSOptions, WebSocket
from voxwire import WebSocketEvents as E

pytestmark = needs("openssl")
ON_LOOPS = ["asyncio"]  # what a loop changes is tested in tests/python

UNKNOWN = (
    "invalid peer certificate: UnknownIssuer (no authority that is trusted here issued it, or the server does not send its "
    "chain)"
)
AUTHORITY = (
    "invalid peer certificate: CaUsedAsEndEntity (it is an authority's own, as self-signed ones often are; trust it by its "
    "fingerprint)"
)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Pair(NamedTuple):
    """A certificate (with its chain) and its key."""

    cert: Path
    key: Path


class Authorities:
    """One that is trusted, one that is not, and what they issued."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._trusted, self._stranger = trustme.CA(), trustme.CA()
        self.ca, self.other_ca = directory / "ca.pem", directory / "other.pem"
        self._trusted.cert_pem.write_to_path(self.ca)
        self._stranger.cert_pem.write_to_path(self.other_ca)
        self.good = self._issue("good", self._trusted.issue_cert("localhost"))
        self.wrong_name = self._issue("wrong", self._trusted.issue_cert("example.com"))
        self.expired = self._issue(
            "expired", self._trusted.issue_cert("localhost", not_before=NOW - 9 * DAY, not_after=NOW - 2 * DAY)
        )
        self.early = self._issue("early", self._trusted.issue_cert("localhost", not_before=NOW + 2 * DAY))
        self.client = self._issue("client", self._trusted.issue_cert("me@test"))
        self.strangers_client = self._issue("stranger", self._stranger.issue_cert("me@test"))
        middle = self._trusted.create_child_ca().issue_cert("localhost")
        self.chained = self._issue("chained", middle)
        self.chain_missing = self._issue("unchained", middle, chain=False)
        self.self_signed_ca = self._self_signed("self-ca", "CA:TRUE")
        self.self_signed = self._self_signed("self", "CA:FALSE")

    def _issue(self, name: str, leaf: trustme.LeafCert, *, chain: bool = True) -> Pair:
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        pair.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems[: None if chain else 1]))
        leaf.private_key_pem.write_to_path(pair.key)
        return pair

    def _self_signed(self, name: str, constraint: str) -> Pair:
        """As the recipes have it: `openssl req -x509`."""
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        subprocess.run(
            [
                *(program("openssl") or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "3", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost", "-addext", f"basicConstraints=critical,{constraint}"),
                *("-keyout", pair.key, "-out", pair.cert),
            ],
            check=True,
            capture_output=True,
        )
        return pair


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities(tmp_path_factory.mktemp("authorities"))


@contextmanager
def s_server(directory: Path, pair: Pair, *options: str | Path) -> Iterator[int]:
    """Answers the port. `-www` makes it an HTTPS server, which is no WebSocket: status 200 says that TLS was good."""
    arguments = ("-accept", "127.0.0.1:0", "-cert", pair.cert, "-key", pair.key, "-cert_chain", pair.cert, "-www")
    with Child(directory, "openssl", "s_server", *arguments, *options) as child:
        yield int(child.says("ACCEPT").rsplit(":", 1)[1])


async def failing(port: int, tls: TLSOptions | None, host: str = "localhost") -> Exception:
    log = Log(WebSocket(f"wss://{host}:{port}/", tls=tls))
    close = await log.until(E.CLOSE)
    assert log.names == ["CREATED", "ERROR", "CLOSE"]
    assert (close.code, close.wasClean) == (1006, False)
    error: Exception = log.events[1].error
    return error


async def refused(port: int, tls: TLSOptions | None, host: str = "localhost") -> str:
    """What the TLSError says after the address."""
    error = await failing(port, tls, host)
    assert isinstance(error, voxwire.TLSError)
    start = f"TLS with {host}:{port} failed: "
    assert str(error).startswith(start)
    return str(error).removeprefix(start)


async def good(port: int, tls: TLSOptions | None) -> bool:
    """Is TLS good, so that it is the handshake of the WebSocket that fails?"""
    error = await failing(port, tls)
    assert isinstance(error, voxwire.HandshakeError), error
    return error.status == 200


@pytest.mark.parametrize(
    "options", [[], ["-tls1_2"], ["-tls1_3"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]]
)
async def test_good(tmp_path: Path, authorities: Authorities, options: list[str]) -> None:
    with s_server(tmp_path, authorities.good, *options) as port:
        assert await good(port, TLSOptions(ca_file=authorities.ca))


async def test_a_chain(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.chained) as port:
        assert await good(port, TLSOptions(ca_file=authorities.ca))


async def test_the_server_does_not_send_its_chain(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.chain_missing) as port:
        said = await refused(port, TLSOptions(ca_file=authorities.ca))
    assert said == UNKNOWN


async def test_expired(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.expired) as port:
        said = await refused(port, TLSOptions(ca_file=authorities.ca))
    assert said.startswith("invalid peer certificate: certificate expired: verification time ")
    assert "but certificate is not valid after" in said


async def test_not_valid_yet(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.early) as port:
        said = await refused(port, TLSOptions(ca_file=authorities.ca))
    assert said.startswith("invalid peer certificate: certificate not valid yet: verification time ")


async def test_the_wrong_host(tmp_path: Path, authorities: Authorities) -> None:
    trust = TLSOptions(ca_file=authorities.ca)
    with s_server(tmp_path, authorities.wrong_name) as port:
        said = await refused(port, trust)
    assert said == (
        'invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for '
        'DnsName("example.com")'
    )
    with s_server(tmp_path / "other", authorities.good) as port:
        said = await refused(port, trust, host="127.0.0.1")
    assert said.startswith('invalid peer certificate: certificate not valid for name "127.0.0.1"')


@pytest.mark.parametrize("whom", ["the other one", "the system's"])
async def test_an_authority_that_is_not_trusted(tmp_path: Path, authorities: Authorities, whom: str) -> None:
    tls = TLSOptions(ca_file=authorities.other_ca) if whom == "the other one" else None
    with s_server(tmp_path, authorities.good) as port:
        assert await refused(port, tls) == UNKNOWN


async def test_self_signed(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.self_signed) as port:
        assert await refused(port, TLSOptions(ca_file=authorities.ca)) == UNKNOWN
        assert await good(port, TLSOptions(ca_file=authorities.self_signed.cert))
    with s_server(tmp_path / "ca", authorities.self_signed_ca) as port:
        for ca_file in (authorities.ca, authorities.self_signed_ca.cert):
            assert await refused(port, TLSOptions(ca_file=ca_file)) == AUTHORITY
        digest = subprocess.check_output(
            [
                program("openssl") or "",
                "x509",
                "-in",
                authorities.self_signed_ca.cert,
                "-noout",
                "-fingerprint",
                "-sha256",
            ],
            text=True,
        ).split("=")[1]
        assert await good(port, TLSOptions(fingerprint=digest.strip()))


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("-tls1_3", "received fatal alert: CertificateRequired"),
        ("-tls1_2", "received fatal alert: HandshakeFailure"),  # TLS 1.2 has no better word for it
    ],
)
async def test_a_client_certificate_is_missing(
    tmp_path: Path, authorities: Authorities, version: str, said: str
) -> None:
    wants = (version, "-Verify", "1", "-verify_return_error", "-CAfile", authorities.ca)
    with s_server(tmp_path, authorities.good, *wants) as port:
        assert await refused(port, TLSOptions(ca_file=authorities.ca)) == said
        shown = TLSOptions(authorities.ca, authorities.strangers_client.cert, authorities.strangers_client.key)
        assert await refused(port, shown) == "received fatal alert: UnknownCA"
        shown = TLSOptions(authorities.ca, authorities.client.cert, authorities.client.key)
        assert await good(port, shown)


TOO_OLD = [
    (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "received fatal alert: ProtocolVersion"),
    (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "received fatal alert: ProtocolVersion"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "received fatal alert: HandshakeFailure"),  # CBC alone
    (["-groups", "P-521"], "received fatal alert: HandshakeFailure"),
    (["-alpn", "h2"], "received fatal alert: NoApplicationProtocol"),
]


@pytest.mark.parametrize(("options", "said"), TOO_OLD, ids=lambda value: value[0] if isinstance(value, list) else "")
async def test_nothing_in_common(tmp_path: Path, authorities: Authorities, options: list[str], said: str) -> None:
    with s_server(tmp_path, authorities.good, *options) as port:
        assert await refused(port, TLSOptions(ca_file=authorities.ca)) == said


async def test_only_1_3_is_wanted(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.good, "-tls1_2") as port:
        said = await refused(port, TLSOptions(ca_file=authorities.ca, minimum_version="1.3"))
    assert said == "received fatal alert: ProtocolVersion"


async def test_ws_to_a_tls_server(tmp_path: Path, authorities: Authorities) -> None:
    with s_server(tmp_path, authorities.good) as port:
        log = Log(WebSocket(f"ws://localhost:{port}/"))
        await log.until(E.CLOSE)
    error = log.events[1].error
    assert isinstance(error, voxwire.HandshakeError)
    where = f"localhost:{port}"
    assert str(error) == f"WebSocket handshake with {where} failed: connection ended after 0 bytes of the HTTP response"


async def test_nobody_renegotiates_with_our_server(authorities: Authorities) -> None:
    tls = ServerTLSOptions(authorities.good.cert, authorities.good.key)
    async with serving(lambda _ws: None, tls=tls, parameters={"handshake_timeout": 1.0}) as server:
        client = await asyncio.create_subprocess_exec(
            *(str(program("openssl")), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert client.stdin is not None
        assert client.stdout is not None
        await client.stdout.readuntil(b"Verify return code")
        client.stdin.write(b"R\n")  # what s_client takes for: renegotiate
        said = (await client.stdout.read()).decode()  # until the time for a request is over
        await client.wait()
    before, begun, after = said.partition("RENEGOTIATING")
    assert begun
    assert "verify return" not in after  # what it prints of the certificate, in each handshake
    assert "error" in after
