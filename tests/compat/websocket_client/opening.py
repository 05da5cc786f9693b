"""Scenarios: connecting, the request, answers that are none, redirects, proxies, TLS."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

from .peers import accepts, answers, echo, hangs_up, here, proxy, quiet, redirects, stalls
from .trace import Trace, scenario


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@scenario(quiet)
def the_request_and_the_attributes(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket)
    t.note(ws.connected, ws.status, ws.getstatus(), ws.headers, ws.getheaders(), ws.subprotocol, ws.getsubprotocol())
    t.note(ws.timeout, ws.gettimeout(), ws.sock.gettimeout(), ws.is_ssl(), ws.fileno() == ws.sock.fileno())
    t.note(ws.sock.getpeername(), isinstance(ws.sock, socket.socket), ws.close_frame)
    t.note(ws.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), ws.sock.getsockopt(1, socket.SO_KEEPALIVE))


@scenario(quiet)
def path_and_query(websocket: Any, t: Trace) -> None:
    t.url += "a/b%20c?d=e&f#g"
    t.connect(websocket)


@scenario(quiet)
def headers_as_a_list(websocket: Any, t: Trace) -> None:
    t.connect(websocket, header=["User-Agent: me", "x-one: 1"], cookie="a=b; c=d")


@scenario(quiet)
def headers_as_a_dictionary(websocket: Any, t: Trace) -> None:
    t.connect(websocket, header={"User-Agent": "me", "X-None": None, "Sec-WebSocket-Version": "13"})


@scenario(quiet)
def a_key_of_ones_own(websocket: Any, t: Trace) -> None:
    t.connect(websocket, header={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="})


@scenario(quiet)
def origin_host_and_connection(websocket: Any, t: Trace) -> None:
    t.connect(
        websocket, origin="http://example.com", host="example.com:1", connection="Connection: keep-alive, Upgrade"
    )


@scenario(quiet)
def without_origin(websocket: Any, t: Trace) -> None:
    t.connect(websocket, suppress_origin=True)


@scenario(quiet)
def without_host(websocket: Any, t: Trace) -> None:
    t.connect(websocket, suppress_host=True)


@scenario(accepts(protocol="Chat"))
def a_subprotocol_is_chosen(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, subprotocols=["soap", "chat"])
    t.note(ws.subprotocol, ws.headers.get("sec-websocket-protocol"))


@scenario(quiet)
def a_subprotocol_is_not_chosen(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket, subprotocols=["soap", "chat"])


@scenario(accepts(protocol="other"))
def a_subprotocol_that_was_not_offered(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket, subprotocols=["soap"])


@scenario(accepts("X-Twice: 1", "X-Twice: 2", "Set-Cookie: a=b; Domain=example.com", "Set-Cookie: c=d"))
def headers_that_are_repeated(websocket: Any, t: Trace) -> None:
    t.note(t.connect(websocket).headers)


@scenario(accepts("Set-Cookie: taste=good; Domain=127.0.0.1", "Set-Cookie: other=1"))
def cookies_come_back(websocket: Any, t: Trace) -> None:
    jar = importlib.import_module(f"{websocket.__name__}._handshake").CookieJar
    t.ends.callback(jar.jar.clear)
    t.connect(websocket)
    t.connect(websocket, cookie="mine=2")


@scenario(answers("404 Not Found", "Content-Length: 5", "X-Why: gone", body=b"sorry"))
def a_status_with_a_body(websocket: Any, t: Trace) -> None:
    error = t.attempt("connect", t.connect, websocket)
    t.note(error.status_code, error.status_message, error.resp_headers, error.resp_body)


@scenario(answers("403 Forbidden"))
def a_status_without_a_body(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(answers("200 OK", "Content-Length: 3000", body=b"x" * 3000))
def a_page_instead(websocket: Any, t: Trace) -> None:
    error = t.attempt("connect", t.connect, websocket)
    t.note(error.status_code, len(error.resp_body))


@scenario(answers("401 Unauthorized", "Content-Length: nonsense"))
def a_length_that_is_none(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(answers("101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: no"))
def a_wrong_token(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(answers("101 Switching Protocols", "Connection: Upgrade"))
def a_101_without_upgrade(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(answers("nonsense"))
def no_status(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(answers("101 Switching Protocols", "no colon here"))
def a_header_without_a_colon(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(hangs_up)
def the_server_hangs_up(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(stalls)
def no_answer_in_time(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket, timeout=0.2)


@scenario(quiet)
def nobody_listens(websocket: Any, t: Trace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = t.attempt("connect", websocket.create_connection, f"ws://127.0.0.1:{port}/", timeout=5)
    t.note(error.errno)


@scenario(quiet)
def a_name_without_an_address(websocket: Any, t: Trace) -> None:
    t.attempt("connect", websocket.create_connection, "ws://no.such.name.invalid/", timeout=5)


@scenario(quiet)
def urls_that_are_none(websocket: Any, t: Trace) -> None:
    for url in ("nonsense", "http://a/", "ws:///path", "WS://127.0.0.1:1/", "ws://a:99999/", ""):
        t.attempt(url, websocket.create_connection, url, timeout=1)


@scenario(redirects(here))
def a_redirect(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, header=["X-Mine: 1"])
    t.note(ws.status)
    ws.send("there")
    t.note(ws.recv())


@scenario(redirects(here, times=9))
def too_many_redirects(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(redirects(here, times=9, status="308 Permanent Redirect"))
def no_redirects_wanted(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket, redirect_limit=0)


@scenario(redirects(lambda _: None))
def a_redirect_to_nowhere(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(redirects(lambda _: "http://127.0.0.1/"))
def a_redirect_to_http(websocket: Any, t: Trace) -> None:
    t.attempt("connect", t.connect, websocket)


@scenario(proxy("200 Connection established"))
def a_proxy(websocket: Any, t: Trace) -> None:
    t.attempt(
        "connect",
        websocket.create_connection,
        "ws://example.invalid:81/",
        timeout=1,
        http_proxy_host="127.0.0.1",
        http_proxy_port=t.port,
        http_proxy_auth=("user", "secret"),
        proxy_type="http",
    )


@scenario(proxy("407 Proxy Authentication Required", headers=("Proxy-Authenticate: Basic",)))
def a_proxy_that_refuses(websocket: Any, t: Trace) -> None:
    with environment(http_proxy=f"http://me:p%40ss@127.0.0.1:{t.port}"):
        t.attempt("connect", websocket.create_connection, "ws://example.invalid/", timeout=5)


@scenario(echo)
def no_proxy_in_the_environment(websocket: Any, t: Trace) -> None:
    with environment(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.0/8"):
        ws = t.connect(websocket)
        ws.send("direct")
        t.note(ws.recv())


@scenario(quiet)
def proxies_that_cannot_be(websocket: Any, t: Trace) -> None:
    for options in ({"http_proxy_port": 0}, {"http_proxy_port": 1, "proxy_type": "carrier pigeon"}):
        t.attempt("connect", t.connect, websocket, http_proxy_host="127.0.0.1", **options)
    t.attempt("socks", t.connect, websocket, http_proxy_host="127.0.0.1", http_proxy_port=1, proxy_type="socks5h")


@scenario(echo, tls=True)
def tls_with_an_authority(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, sslopt={"ca_certs": str(t.certificates.ca)})
    t.note(ws.is_ssl(), type(ws.sock).__name__, ws.sock.version() in ("TLSv1.2", "TLSv1.3"))
    ws.send("secret")
    t.note(ws.recv())
    ws.send_binary(b"x" * 100_000)
    t.note(len(ws.recv()))
    ws.ping("p")
    t.note(ws.recv_data(True))
    t.attempt("close", ws.close)


@scenario(echo, tls=True)
def tls_that_is_not_trusted(websocket: Any, t: Trace) -> None:
    error = t.attempt("connect", t.connect, websocket)
    t.note(isinstance(error, ssl.SSLCertVerificationError))


@scenario(echo, tls=True)
def tls_without_a_check(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, sslopt={"cert_reqs": ssl.CERT_NONE})
    ws.send("to anybody")
    t.note(ws.recv())


@scenario(echo, tls=True)
def tls_for_another_name(websocket: Any, t: Trace) -> None:
    ca = str(t.certificates.ca)
    t.attempt("wrong", t.connect, websocket, sslopt={"ca_certs": ca, "server_hostname": "example.com"})
    ws = t.connect(websocket, sslopt={"ca_certs": ca, "server_hostname": "example.com", "check_hostname": False})
    ws.send("found")
    t.note(ws.recv())


@scenario(echo, tls=True)
def tls_with_a_context(websocket: Any, t: Trace) -> None:
    ws = t.connect(websocket, sslopt={"context": t.certificates.client_context()})
    ws.send("by context")
    t.note(ws.recv())


@scenario(quiet, tls=True)
def tls_options_that_are_wrong(websocket: Any, t: Trace) -> None:
    for options in (
        {"ca_certs": "/does/not/exist"},
        {"certfile": "/does/not/exist"},
        {"ciphers": "NONSENSE"},
        {"cert_chain": ("one",)},
        {"ecdh_curve": "nonsense"},
        {"check_hostname": True, "cert_reqs": ssl.CERT_NONE},
    ):
        t.attempt(str(options), t.connect, websocket, sslopt=options)


@scenario(echo)
def a_socket_that_was_connected_before(websocket: Any, t: Trace) -> None:
    sock = socket.create_connection(("127.0.0.1", t.port), timeout=5)
    ws = websocket.create_connection("ws://example.com/x", socket=sock)
    t.note(ws.sock is sock)
    ws.send("mine")
    t.note(ws.recv())
    t.attempt("close", ws.close)
    t.note(sock.fileno())


@scenario(quiet)
def socket_options(websocket: Any, t: Trace) -> None:
    ws = t.connect(
        websocket, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 8192), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0))
    )
    t.note(
        ws.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        ws.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
    )


@scenario(quiet)
def the_default_timeout(websocket: Any, t: Trace) -> None:
    t.note(websocket.getdefaulttimeout())
    websocket.setdefaulttimeout(3)
    try:
        t.note(websocket.getdefaulttimeout())
        ws = t.connect(websocket, timeout=None)
        t.note(ws.timeout, ws.sock.gettimeout())
        ws.settimeout(0.1)
        t.attempt("recv", ws.recv)
    finally:
        websocket.setdefaulttimeout(None)
