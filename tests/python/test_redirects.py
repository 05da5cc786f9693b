"""Redirects: which are followed, what goes along, and what is read when one is not."""

import asyncio
import base64
from collections.abc import Callable

import pytest
from support.raw import RawPeer, RawServer
from support.tls import Certificates
from test_connect import failing

import voxwire
from voxwire import TLSOptions, WebSocket


class Server:
    """Sends who asks for a path of `locations` there (`{port}` is its own port), and serves everybody else."""

    def __init__(self, locations: dict[str, str], status: int = 302) -> None:
        self.locations = locations
        self.status = status
        self.requests: list[tuple[str, dict[str, str]]] = []

    def __call__(self, peer: RawPeer) -> None:
        path = peer.read_head().split(" ")[1]
        self.requests.append((path, peer.headers))
        if path not in self.locations:
            peer.read_head = lambda: ""  # type: ignore[method-assign]
            peer.accept()
            peer.answer_close()
            return
        location = self.locations[path].replace("{port}", str(peer.sock.getsockname()[1]))
        body = "elsewhere"
        head = f"HTTP/1.1 {self.status} Elsewhere\r\nLocation: {location}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        peer.write(head.encode())
        peer.hang_up()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


SECRETS = {"Authorization": "Bearer secret", "Cookie": "a=b", "Host": "own.example", "X-Own": "1"}


async def opened(url: str, **parameters: object) -> str:
    """Opens and closes; answers the URL that the WebSocket then has."""
    async with WebSocket(url, **parameters) as ws:  # type: ignore[arg-type]
        return ws.url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_every_kind_of_redirect_is_followed(status: int) -> None:
    script = Server({"/": "/one", "/one": "two?x=y", "/two?x=y": "http://127.0.0.1:{port}/three#four"}, status)
    with RawServer(script) as server:
        assert await opened(server.url) == server.url
    assert script.paths == ["/", "/one", "/two?x=y", "/three"]


async def test_within_the_origin_everything_goes_along() -> None:
    script = Server({"/": "/next"})
    with RawServer(script) as server:
        await opened(server.url.replace("ws://", "ws://user:pass@"), headers={"Cookie": "a=b"}, protocols=["x", "chat"])
    (_, first), (_, second) = script.requests
    for headers in (first, second):
        assert headers["authorization"] == "Basic " + base64.b64encode(b"user:pass").decode()
        assert headers["cookie"] == "a=b"
        assert headers["sec-websocket-protocol"] == "x, chat"
    assert first["sec-websocket-key"] != second["sec-websocket-key"]


@pytest.mark.parametrize("credentials", ["", "user:pass@"])
async def test_another_origin_gets_no_credentials(credentials: str) -> None:
    target = Server({})
    with RawServer(target) as other:
        script = Server({"/": f"ws://127.0.0.1:{other.port}/there"})
        headers = {"Cookie": "a=b", "X-Own": "1"} if credentials else SECRETS
        with RawServer(script) as server:
            await opened(server.url.replace("ws://", f"ws://{credentials}"), headers=headers)
    ((_, sent),) = script.requests
    assert {"authorization", "cookie"} <= set(sent)
    ((path, sent),) = target.requests
    assert path == "/there"
    assert not {"authorization", "cookie"} & set(sent)
    assert sent["host"] == f"127.0.0.1:{other.port}"
    assert sent["x-own"] == "1"


async def test_from_ws_to_wss_and_not_back(certificates: Certificates) -> None:
    secure = Server({"/back": "ws://localhost/"})
    trust = TLSOptions(ca_file=certificates.ca)
    with RawServer(secure, certificates.server_context()) as other:
        script = Server({"/": f"https://localhost:{other.port}/ok", "/trap": f"https://localhost:{other.port}/back"})
        with RawServer(script) as server:
            await opened(server.url, tls=trust, headers=SECRETS)
            error = await failing(server.url + "trap", tls=trust)
    assert secure.paths == ["/ok", "/back"]
    assert "authorization" not in secure.requests[0][1]
    assert isinstance(error, voxwire.RedirectError)
    assert "ws://localhost/" in str(error)
    assert "it leads from wss to ws" in str(error)


@pytest.mark.parametrize("ours", [True, False])
async def test_a_client_certificate_stays_with_its_origin(certificates: Certificates, ours: bool) -> None:
    shown: list[object] = []

    def noting(script: Server) -> Callable[[RawPeer], None]:
        def run(peer: RawPeer) -> None:
            shown.append(peer.sock.getpeercert())  # type: ignore[attr-defined]
            script(peer)

        return run

    context = certificates.server_context(want_client=True)
    context.verify_mode = context.verify_mode.__class__.CERT_OPTIONAL
    tls = TLSOptions(ca_file=certificates.ca, cert_file=certificates.client_cert, key_file=certificates.client_key)
    with RawServer(noting(Server({})), context) as other:
        to = "/next" if ours else f"wss://localhost:{other.port}/next"
        with RawServer(noting(Server({"/": to})), context) as server:
            await opened(server.url, tls=tls)
    assert [bool(certificate) for certificate in shown] == [True, ours]


async def test_a_loop_ends() -> None:
    script = Server({"/": "/a?token=1", "/a?token=1": "/"})
    with RawServer(script) as server:
        error = await failing(server.url, max_redirects=3)
    assert isinstance(error, voxwire.RedirectError)
    assert isinstance(error, voxwire.HandshakeError)
    assert len(script.paths) == 4
    assert "more than max_redirects = 3 redirects, in a loop" in str(error)
    assert "token" not in str(error)
    assert (error.status, error.body) == (302, b"elsewhere")
    assert ("Location", "/") in error.headers


async def test_as_many_as_allowed() -> None:
    script = Server({f"/{n}": f"/{n + 1}" for n in range(11)})
    with RawServer(script) as server:
        await opened(server.url + "1")  # ten of them
        error = await failing(server.url + "0")
    assert isinstance(error, voxwire.RedirectError)
    assert "more than max_redirects = 10 redirects: " in str(error)


async def test_without_redirects_it_is_a_refusal() -> None:
    script = Server({"/": "/next"})
    with RawServer(script) as server:
        error = await failing(server.url, max_redirects=0)
    assert isinstance(error, voxwire.HandshakeError)
    assert not isinstance(error, voxwire.RedirectError)
    assert error.status == 302
    assert script.paths == ["/"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "file"),
        ("ftp://h/", "ftp"),
        ("ws://h:99999/", "port"),
        ("ws://user:secret@[::1/", "not valid"),
        ("/a\tb", "control character"),
    ],
)
async def test_nowhere_to_go(location: str, reason: str) -> None:
    with RawServer(Server({"/": location})) as server:
        error = await failing(server.url)
    assert isinstance(error, voxwire.RedirectError)
    assert "is not followed" in str(error)
    assert reason in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("answer", ["300 Choose", "304 Not Modified", "305 Use Proxy"])
async def test_other_answers_lead_nowhere(answer: str) -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.write(f"HTTP/1.1 {answer}\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n".encode())
        peer.hang_up()

    with RawServer(script) as server:
        error = await failing(server.url)
    assert isinstance(error, voxwire.HandshakeError)
    assert not isinstance(error, voxwire.RedirectError)
    assert error.status == int(answer[:3])


async def test_the_time_is_for_all_of_them_together() -> None:
    def script(peer: RawPeer) -> None:
        peer.read_head()
        peer.sock.settimeout(0.15)
        try:
            peer.sock.recv(1)
        except TimeoutError:
            peer.write(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
        peer.hang_up()

    with RawServer(script) as server:
        began = asyncio.get_running_loop().time()
        error = await failing(server.url, handshake_timeout=0.5, max_redirects=1000)
        took = asyncio.get_running_loop().time() - began
    assert isinstance(error, voxwire.ConnectTimeout)
    assert "handshake_timeout = 0.5 s" in str(error)
    assert took < 5


async def test_through_a_proxy_to_somebody_it_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there is a proxy is asked again for each address."""
    target = Server({})
    proxied: list[str] = []
    with RawServer(target) as other:
        away = Server({"/": f"ws://127.0.0.1:{other.port}/direct"})

        def proxy(peer: RawPeer) -> None:
            proxied.append(peer.read_head())
            peer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            away(peer)

        with RawServer(proxy) as server:
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{server.port}")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            await opened("ws://server.invalid/")
    assert proxied == ["CONNECT server.invalid:80 HTTP/1.1"]
    assert target.paths == ["/direct"]
