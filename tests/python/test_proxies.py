"""Connections through proxies: what the proxy is asked, which one it is, and what is read when it does not help.

The proxies are scripts on raw sockets; once they have granted the tunnel, they play the server at its end.
"""

import asyncio
import base64
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.raw import RawPeer, RawServer
from support.tls import Certificates
from test_connect import failing, free_port
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

import voxwire
from voxwire import TLSOptions, WebSocket

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
TARGET = "ws://server.invalid:8080/path"


class Proxy:
    """Grants a tunnel and is the server at its end; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def __call__(self, peer: RawPeer) -> None:
        self.asked.append((peer.read_head(), peer.headers))
        peer.write(ESTABLISHED)
        self.serve(peer)

    def serve(self, peer: RawPeer) -> None:
        peer.accept()
        self.requests.append((peer.request, peer.headers))
        peer.text("hello")
        peer.answer_close()


async def greeted(url: str, **parameters: Any) -> None:
    async with WebSocket(url, **parameters) as ws:
        assert await ws.recv() == "hello"


async def test_http_connect() -> None:
    proxy = Proxy()
    with RawServer(proxy) as server:
        url = f"http://us%40er:pass@127.0.0.1:{server.port}"
        async with WebSocket(TARGET, proxy=url, headers={"Authorization": "Bearer secret"}) as ws:
            assert await ws.recv() == "hello"
            assert ws.remote_address == ("127.0.0.1", server.port)
    ((asked, headers),) = proxy.asked
    assert asked == "CONNECT server.invalid:8080 HTTP/1.1"
    assert headers["host"] == "server.invalid:8080"
    assert headers["proxy-authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()
    assert "authorization" not in headers
    ((request, headers),) = proxy.requests
    assert request == "GET /path HTTP/1.1"
    assert headers["host"] == "server.invalid:8080"
    assert headers["authorization"] == "Bearer secret"
    assert "proxy-authorization" not in headers


async def test_an_https_proxy(certificates: Certificates) -> None:
    proxy = Proxy()
    with RawServer(proxy, certificates.server_context()) as server:
        url = f"https://localhost:{server.port}"
        await greeted(TARGET, proxy=url, proxy_tls=TLSOptions(ca_file=certificates.ca))
        by_address = TLSOptions(ca_file=certificates.ca, server_name="localhost")
        await greeted(TARGET, proxy=f"https://127.0.0.1:{server.port}", proxy_tls=by_address)
        error = await failing(TARGET, proxy=url)  # `tls` and `proxy_tls` are two things
        assert isinstance(error, voxwire.ProxyError)
        assert "UnknownIssuer" in str(error)
    assert [asked for asked, _ in proxy.asked] == ["CONNECT server.invalid:8080 HTTP/1.1"] * 2


async def test_wss_through_an_http_proxy(certificates: Certificates) -> None:
    proxy = Proxy()

    def script(peer: RawPeer) -> None:
        proxy.asked.append((peer.read_head(), peer.headers))
        peer.write(ESTABLISHED)
        peer.sock = certificates.server_context().wrap_socket(peer.sock, server_side=True)
        proxy.serve(peer)

    with RawServer(script) as server:
        trust = TLSOptions(ca_file=certificates.ca)
        await greeted("wss://localhost/", proxy=f"127.0.0.1:{server.port}", tls=trust)  # no scheme: http
    assert proxy.asked[0][0] == "CONNECT localhost:443 HTTP/1.1"


async def test_socks5_with_a_password() -> None:
    proxy = Proxy()

    def script(peer: RawPeer) -> None:
        assert peer.exactly(4) == b"\x05\x02\x00\x02"
        peer.write(b"\x05\x02")
        assert peer.exactly(11) == b"\x01\x04user\x04p\xc3\xa4w"
        for byte in b"\x01\x00":  # it may come in pieces
            peer.write(bytes([byte]))
        assert peer.exactly(21) == b"\x05\x01\x00\x03\x0eserver.invalid" + struct.pack(">H", 8080)
        peer.write(b"\x05\x00\x00\x03\x01h\x00\x50")
        proxy.serve(peer)

    with RawServer(script) as server:
        await greeted(TARGET, proxy=f"socks5h://user:p%C3%A4w@127.0.0.1:{server.port}")


async def test_socks4a() -> None:
    proxy = Proxy()

    def script(peer: RawPeer) -> None:
        assert peer.exactly(26) == b"\x04\x01\x1f\x90\x00\x00\x00\x01me\x00server.invalid\x00"
        peer.write(b"\x00\x5a\x00\x00\x00\x00\x00\x00")
        proxy.serve(peer)

    with RawServer(script) as server:
        await greeted(TARGET, proxy=f"socks4a://me@127.0.0.1:{server.port}")


async def test_names_are_resolved_here_for_socks5_and_socks4() -> None:
    for scheme in ("socks5", "socks4"):
        error = await failing("ws://nowhere.invalid/", proxy=f"{scheme}://127.0.0.1:{free_port()}")
        assert isinstance(error, voxwire.NameResolutionError)


def answering(answer: bytes) -> Callable[[RawPeer], None]:
    def script(peer: RawPeer) -> None:
        peer.sock.recv(4096)
        peer.write(answer)
        peer.hang_up()

    return script


async def test_407() -> None:
    body = b"<h1>Who are you?</h1>"
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: %d\r\n\r\n%s"
    with RawServer(answering(answer % (len(body), body))) as server:
        where = f"127.0.0.1:{server.port}"
        error = await failing(TARGET, proxy=f"http://{where}")
        assert isinstance(error, voxwire.ProxyError)
        assert (error.status, error.body, error.proxy) == (407, body, f"http://{where}")
        assert ("Proxy-Authenticate", "Basic") in error.headers
        assert "server.invalid:8080" in str(error)
        assert "put user and password into its URL" in str(error)
        assert "Who are you?" in str(error)
        error = await failing(TARGET, proxy=f"http://user:secret@{where}")
        assert isinstance(error, voxwire.ProxyError)
        assert "does not accept user and password" in str(error)
        assert error.proxy == f"http://{where}"
        assert "secret" not in str(error)


async def test_a_refusal_is_not_held_up_by_its_body() -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(b"HTTP/1.1 503 Busy\r\n\r\nlater")
        peer.wait_eof()

    with RawServer(script) as server:
        began = asyncio.get_running_loop().time()
        error = await failing(TARGET, proxy=f"http://127.0.0.1:{server.port}", connect_timeout=20)
        took = asyncio.get_running_loop().time() - began
    assert isinstance(error, voxwire.ProxyError)
    assert (error.status, error.body) == (503, b"later")
    assert took < 10


NO_PROXY_AT_ALL = {
    "junk": ("http", b"\x00\x01\x02\r\n\r\n", "does not speak HTTP"),
    "nothing": ("http", b"", "after 0 bytes"),
    "half a head": ("http", b"HTTP/1.1 200 OK\r\n", "after 17 bytes"),
    "too eager": ("http", ESTABLISHED + b"HTTP/1.1 101 X\r\n\r\n", "before there was anything"),
    "redirect": ("http", b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "status 302"),
    "http instead of socks": ("socks5h", b"HTTP/1.1 400 Bad Request\r\n\r\n", "is it an HTTP proxy?"),
    "no way in": ("socks5h", b"\x05\xff", "none of our ways"),
    "unknown way in": ("socks5h", b"\x05\x01", "was not offered"),
    "socks hangs up": ("socks5h", b"\x05", "after 1 bytes"),
    "socks4 refuses": ("socks4a", b"\x00\x5b\x00\x00\x00\x00\x00\x00", "rejected"),
}


@pytest.mark.parametrize("name", NO_PROXY_AT_ALL)
async def test_no_proxy_at_all(name: str) -> None:
    scheme, answer, expected = NO_PROXY_AT_ALL[name]
    with RawServer(answering(answer)) as server:
        error = await failing(TARGET, proxy=f"{scheme}://127.0.0.1:{server.port}")
    assert isinstance(error, voxwire.ProxyError)
    assert expected in str(error)


async def test_an_answer_that_never_ends() -> None:
    def endless(peer: RawPeer) -> None:
        peer.read_head()
        try:
            peer.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(1_000_000):
                peer.write(b"X-Header-%d: %s\r\n" % (number, b"x" * 100))
        except OSError:
            pass

    with RawServer(endless) as server:
        error = await failing(TARGET, proxy=f"http://127.0.0.1:{server.port}")
    assert isinstance(error, voxwire.ProxyError)
    assert "max_h" in str(error)


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
async def test_a_silent_proxy(scheme: str) -> None:
    with RawServer(RawPeer.wait_eof) as server:
        error = await failing(TARGET, proxy=f"{scheme}://127.0.0.1:{server.port}", connect_timeout=0.3)
    assert isinstance(error, voxwire.ConnectTimeout)
    assert f"proxy {scheme}://127.0.0.1:{server.port}: connected, but it gave no complete answer" in str(error)


async def test_a_proxy_that_is_not_there() -> None:
    port = free_port()
    error = await failing(TARGET, proxy=f"http://127.0.0.1:{port}")
    assert isinstance(error, voxwire.ProxyError)
    assert error.errno is not None
    assert f"http://127.0.0.1:{port}: it cannot be reached: Connection refused" in str(error)
    error = await failing(TARGET, proxy="http://nowhere.invalid")
    assert isinstance(error, voxwire.ProxyError)
    assert "name cannot be resolved" in str(error)


BAD_PROXIES: list[Any] = [False, 1, b"http://h", "", "ftp://h", "http://", "http://h/path", "socks5://user@h", "a\r\nb"]


@pytest.mark.parametrize("proxy", BAD_PROXIES)
async def test_what_is_no_proxy_is_refused(proxy: Any) -> None:
    with pytest.raises(voxwire.InvalidParameter, match="^proxy: ") as caught:
        WebSocket("ws://127.0.0.1:9/", proxy=proxy)
    assert caught.value.field == "proxy"


async def test_a_bad_proxy_url_does_not_give_its_password_away() -> None:
    with pytest.raises(voxwire.InvalidParameter) as caught:
        WebSocket("ws://127.0.0.1:9/", proxy="http://user:secret@h/path")
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__dict__)


async def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    with RawServer(proxy) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        await greeted("ws://server.invalid/")
        await greeted("ws://localhost:9/")  # unless NO_PROXY names it
        assert [asked for asked, _ in proxy.asked] == [
            f"CONNECT {to} HTTP/1.1" for to in ("server.invalid:80", "localhost:9")
        ]
        for url in ("ws://server.invalid/", "wss://server.invalid/"):  # HTTP_PROXY is not for wss
            error = await failing(url, **({"proxy": None} if url.startswith("ws:") else {}))
            assert isinstance(error, voxwire.NameResolutionError)
        monkeypatch.setenv("no_proxy", "example.com, .invalid,127.0.0.0/8")
        assert isinstance(await failing("ws://server.invalid/"), voxwire.NameResolutionError)
        assert not isinstance(await failing(f"ws://127.0.0.1:{free_port()}/"), voxwire.ProxyError)
        assert len(proxy.asked) == 2


async def test_a_bad_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_PROXY", "gopher://user:secret@h")
    with pytest.raises(voxwire.InvalidParameter, match="environment variable WS_PROXY.*gopher") as caught:
        WebSocket("ws://server.invalid/")
    assert "secret" not in str(caught.value)
    ws = WebSocket("wss://127.0.0.1:9/")  # not for this one
    ws.close()
    await ws.wait_closed()


NAMES = [
    name
    for scheme in ("ws", "wss", "socks", "https", "http")
    for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
]
ENTRIES = [
    "example.com",
    ".example.com",
    "EXAMPLE.com:80",
    "b.example.com",
    "example.com:8443",
    "127.0.0.1",
    "localhost:80",
    "",
]
URLS = ["ws://example.com/", "wss://b.example.com:8443/", "ws://notexample.com/", "ws://127.0.0.1/", "wss://localhost/"]


@settings(max_examples=300, deadline=None)
@given(
    variables=st.dictionaries(st.sampled_from(NAMES), st.booleans()),
    exceptions=st.none() | st.just("*") | st.lists(st.sampled_from(ENTRIES), max_size=3).map(", ".join),
    url=st.sampled_from(URLS),
)
def test_the_environment_is_read_as_websockets_does(
    variables: dict[str, bool], exceptions: str | None, url: str
) -> None:
    """Each variable holds its own name as a scheme that neither knows, so that the refusal says which was taken."""
    environment = {name: f"x{name.replace('_', '-')}://h" if filled else "" for name, filled in variables.items()}
    if exceptions is not None:
        environment["no_proxy"] = exceptions
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        expected = get_proxy(parse_uri(url))
        found = asyncio.run(chosen(url))
    # ALL_PROXY is ours alone; whatever they take, we take.
    assert found == (None if expected is None else expected.removeprefix("x").removesuffix("://h").replace("-", "_"))


async def chosen(url: str) -> str | None:
    """The variable that a connection takes its proxy from."""
    try:
        ws = WebSocket(url)
    except voxwire.InvalidParameter as error:
        return str(error).split("environment variable ")[1].split(":")[0]
    ws.close()
    await ws.wait_closed()
    return None
