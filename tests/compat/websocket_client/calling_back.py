"""Scenarios: `WebSocketApp`. Its callbacks in order, with what they get; pings, errors, reconnecting, closing."""

from __future__ import annotations

import socket
import threading
from typing import Any

from support import frames

from . import peers
from .peers import PAUSE, answers, binary, closes, code, echo, ends, more, ping, pong, quiet, says, text
from .trace import Peer, Trace, scenario

ALL = ("on_open", "on_message", "on_data", "on_error", "on_close", "on_ping", "on_pong")


@scenario(closes(1000, "done", text("hällo") + binary(b"\x00\x01") + ping(b"p") + pong(b"q")))
def everything_calls_back(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, **t.callbacks(*ALL))
    t.note(app.keep_running, app.sock, app.ready())
    t.run(websocket, app)
    t.note(app.keep_running, app.sock, app.has_errored)


@scenario(closes(1001))
def going_away_without_a_reason(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(closes(None))
def closed_without_a_code(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(closes(1000, "", text("Hel", fin=False) + more("lo ", fin=False) + more("you") + text("whole")))
def fragments_call_back(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL, "on_cont_message")))


@scenario(closes(1000, "", text("Hel", fin=False) + more("lo")))
def fragments_without_a_callback(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(ends(text("one")))
def the_connection_is_lost(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, **t.callbacks(*ALL))
    t.run(websocket, app)
    t.note(app.has_errored)


@scenario(ends(reset=True))
def the_connection_is_reset(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(says(text(b"\xff")))
def bad_text_ends_it(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(closes(1000, "", text(b"\xff")))
def bad_text_unchecked(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)), skip_utf8_validation=True)


@scenario(says(text("x", reserved=2)))
def a_broken_rule_ends_it(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(answers("503 Service Unavailable", "Content-Length: 4", body=b"busy"))
def the_handshake_is_refused(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks(*ALL)))


@scenario(quiet)
def the_server_is_not_there(websocket: Any, t: Trace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    t.run(websocket, websocket.WebSocketApp(f"ws://127.0.0.1:{port}/", **t.callbacks("on_error", "on_close")))


@scenario(quiet)
def a_url_that_is_none(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp("nonsense", **t.callbacks("on_error", "on_close")))


@scenario(echo)
def closing_from_a_callback(websocket: Any, t: Trace) -> None:
    def on_message(app: Any, message: Any) -> None:
        t.note("message", message, app.ready())
        app.close(status=4000, reason="enough")
        t.note("closed", app.keep_running, app.sock)

    app = websocket.WebSocketApp(
        t.url, on_open=lambda app: app.send("hello"), on_message=on_message, **t.callbacks("on_error", "on_close")
    )
    t.run(websocket, app)
    t.attempt("send", app.send, "x")
    t.attempt("send_text", app.send_text, "x")
    t.attempt("send_bytes", app.send_bytes, b"x")


@scenario(echo)
def sending_of_every_kind(websocket: Any, t: Trace) -> None:
    def on_open(app: Any) -> None:
        app.send("one")
        app.send(b"two", websocket.ABNF.OPCODE_BINARY)
        app.send_text("three")
        app.send_bytes(b"four")
        app.sock.ping("five")
        app.sock.send_close(1000)

    t.run(websocket, websocket.WebSocketApp(t.url, **{**t.callbacks(*ALL), "on_open": on_open}))


@scenario(closes(1000, "", text("boom") + text("after")))
def a_callback_that_raises(websocket: Any, t: Trace) -> None:
    def on_message(_app: Any, message: Any) -> None:
        t.note("message", message)
        if message == "boom":
            raise ValueError("in the callback")

    app = websocket.WebSocketApp(t.url, on_message=on_message, **t.callbacks("on_error", "on_close"))
    t.run(websocket, app)


@scenario(ends())
def an_error_callback_that_raises(websocket: Any, t: Trace) -> None:
    def on_error(_app: Any, error: Any) -> None:
        t.note("error", error)
        raise RuntimeError("in on_error")

    t.run(websocket, websocket.WebSocketApp(t.url, on_error=on_error, **t.callbacks("on_close")))


@scenario(closes(1000, "", text("stop")))
def ctrl_c_in_a_callback(websocket: Any, t: Trace) -> None:
    def on_message(_app: Any, _message: Any) -> None:
        raise KeyboardInterrupt

    t.run(websocket, websocket.WebSocketApp(t.url, on_message=on_message, **t.callbacks("on_error", "on_close")))


@scenario(closes(1000, "", text("stop")))
def exit_in_a_callback(websocket: Any, t: Trace) -> None:
    def on_message(_app: Any, _message: Any) -> None:
        raise SystemExit(3)

    t.run(websocket, websocket.WebSocketApp(t.url, on_message=on_message, **t.callbacks("on_error", "on_close")))


def _answers_pings(peer: Peer) -> None:
    peer.accept(None)
    for _ in range(2):
        peer.send(frames.PONG, peer.until(frames.PING).payload)
    peer.finish(1000)


@scenario(_answers_pings)
def pings_on_a_timer(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, **t.callbacks(*ALL))
    t.run(websocket, app, ping_interval=0.2, ping_payload="beat")
    t.note(app.last_ping_tm, app.ping_thread)


@scenario(quiet)
def pings_that_nobody_answers(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, **t.callbacks(*ALL))
    t.run(websocket, app, ping_interval=0.4, ping_timeout=0.1)


@scenario(quiet)
def times_that_do_not_fit(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url)
    for options in ({"ping_timeout": 0}, {"ping_interval": -1}, {"ping_interval": 1, "ping_timeout": 1}):
        t.attempt(str(options), app.run_forever, **options)
    app.sock = websocket.WebSocket()
    t.attempt("twice", app.run_forever)


def _twice(peer: Peer) -> None:
    peer.accept(None)
    peer.text(f"connection {peer.number}")
    if peer.number == 0:
        peer.hang_up()
    else:
        peer.finish(1000, "enough")


@scenario(_twice)
def connecting_again(websocket: Any, t: Trace) -> None:
    def on_message(app: Any, message: Any) -> None:
        t.note("message", message)
        if message == "connection 1":
            app.close()

    app = websocket.WebSocketApp(
        t.url, on_message=on_message, **t.callbacks("on_open", "on_reconnect", "on_error", "on_close")
    )
    t.run(websocket, app, reconnect=0.05)


def _closes_twice(peer: Peer) -> None:
    peer.accept(None)
    peer.text(f"connection {peer.number}")
    peer.close(1012, "restart")
    peer.until(frames.CLOSE)


@scenario(_closes_twice)
def connecting_again_after_a_close(websocket: Any, t: Trace) -> None:
    def on_message(app: Any, message: Any) -> None:
        t.note("message", message)
        if message == "connection 2":
            app.close()

    app = websocket.WebSocketApp(t.url, on_message=on_message, **t.callbacks("on_open", "on_error", "on_close"))
    t.run(websocket, app, reconnect=0.05)


@scenario(_twice)
def connecting_again_by_default(websocket: Any, t: Trace) -> None:
    websocket.set_reconnect(0.05)
    try:
        app = websocket.WebSocketApp(t.url, **t.callbacks("on_open", "on_error", "on_close"))
        app.on_message = lambda app, message: message == "connection 1" and app.close()
        t.run(websocket, app)
    finally:
        websocket.set_reconnect(0)


def _not_at_first(peer: Peer) -> None:
    if peer.number < 2:
        peer.answer("503 Busy")
        peer.hang_up()
    else:
        peer.accept(None)
        peer.finish(1000)


@scenario(_not_at_first)
def connecting_again_until_it_works(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, **t.callbacks("on_error", "on_close", "on_reconnect"))
    app.on_open = lambda app: t.note("open")

    def on_reconnect(app: Any) -> None:
        t.note("reconnected")
        app.close()

    app.on_reconnect = on_reconnect
    t.run(websocket, app, reconnect=0.05)


@scenario(quiet)
def headers_of_a_function(websocket: Any, t: Trace) -> None:
    calls: list[int] = []

    def header() -> list[str]:
        calls.append(1)
        return [f"X-Attempt: {len(calls)}"]

    app = websocket.WebSocketApp(
        t.url, header=header, cookie="a=b", subprotocols=None, on_open=lambda app: app.close(timeout=0.1)
    )
    t.run(websocket, app, origin="http://o", host="h:1")


@scenario(echo)
def run_twice(websocket: Any, t: Trace) -> None:
    app = websocket.WebSocketApp(t.url, on_open=lambda app: app.close(), **t.callbacks("on_error", "on_close"))
    t.run(websocket, app)
    t.run(websocket, app)


@scenario(echo)
def closing_from_another_thread(websocket: Any, t: Trace) -> None:
    talked = threading.Event()
    app = websocket.WebSocketApp(
        t.url,
        on_open=lambda app: app.send("hello"),
        on_message=lambda _app, _message: talked.set(),
        **t.callbacks("on_error"),
    )
    thread = threading.Thread(target=t.run, args=(websocket, app))
    thread.start()
    talked.wait(5)
    app.close()
    thread.join(15)
    t.note(thread.is_alive(), app.keep_running, app.sock)


@scenario(echo, tls=True)
def an_app_with_tls(websocket: Any, t: Trace) -> None:
    def on_message(app: Any, message: Any) -> None:
        t.note("message", message)
        app.close()

    app = websocket.WebSocketApp(
        t.url, on_open=lambda app: app.send("secret"), on_message=on_message, **t.callbacks("on_error", "on_close")
    )
    t.run(websocket, app, sslopt={"ca_certs": str(t.certificates.ca)})


@scenario(closes(1000, "", text("one") + text("two")))
def a_loop_of_ones_own(websocket: Any, t: Trace) -> None:
    class Loop:
        """As much of `rel` as is needed."""

        def __init__(self) -> None:
            self.readers: list[Any] = []

        def signal(self, number: int, callback: Any) -> None:
            t.note("signal", number, callable(callback))

        def abort(self) -> None:
            """Nothing runs yet."""

        def timeout(self, seconds: float, callback: Any, *arguments: Any) -> None:
            t.note("timeout", seconds, arguments)

        def buffwrite(self, sock: socket.socket, data: bytes, send: Any, _disconnected: Any) -> None:
            t.note("write", len(data), send(sock, data))

        def read(self, _sock: Any, callback: Any) -> None:
            self.readers.append(callback)

        def dispatch(self) -> None:
            while self.readers[0]():
                pass

    loop = Loop()
    app = websocket.WebSocketApp(t.url, **t.callbacks(*ALL))
    t.attempt("run_forever", app.run_forever, dispatcher=loop, ping_timeout=1)
    app.send("out")
    loop.dispatch()
    t.note(app.has_errored)


@scenario(peers.says(peers.close(code(1000, b"a\xc3"))))
def a_reason_that_is_cut_off(websocket: Any, t: Trace) -> None:
    t.run(websocket, websocket.WebSocketApp(t.url, **t.callbacks("on_error", "on_close")))


@scenario(echo)
def deep_in_the_callbacks(websocket: Any, t: Trace) -> None:
    """Messages sent from callbacks come back in order."""
    seen: list[str] = []

    def on_message(app: Any, message: str) -> None:
        seen.append(message)
        if len(seen) == 50:
            app.close()
        else:
            app.send(f"{len(seen)}")

    t.run(websocket, websocket.WebSocketApp(t.url, on_open=lambda app: app.send("0"), on_message=on_message))
    t.note(seen == [str(number) for number in range(50)], PAUSE)
