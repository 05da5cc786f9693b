"""Names of the originals that differ here, each with its reason. `test_names` finds them; one that is equal fails, too.

A star stands for any characters.
"""

_LEGACY = "of the legacy implementation, which is not here; using it says so"
_GRAMMAR = "a step of the parser, which is written in another way; the functions in __all__ are there"
_PARSER = "the generators that read frames; frames are read in the core"
_PROXY = "how a proxy is reached is written in another way"
_QUEUE = "how frames wait is written in another way"

DIFFERENCES: dict[str, str] = {
    "websockets.auth.BasicAuthWebSocketServerProtocol*": _LEGACY,
    "websockets.auth.basic_auth_protocol_factory": _LEGACY,
    "websockets.*.discard": _PARSER,
    "websockets.*.parse": _PARSER,
    "websockets.frames.Frame.DEFAULT_IS_TEXT": "part of how a frame is shown, which is written in another way",
    "websockets.frames.is_utf8_fragment": "the same",
    "websockets.headers.build_extension_item": _GRAMMAR,
    "websockets.headers.parse_*": _GRAMMAR,
    "websockets.headers.peek_ahead": _GRAMMAR,
    "websockets.http11.PYTHON_VERSION": "words of USER_AGENT and SERVER",
    "websockets.http11.websockets_version": "words of USER_AGENT and SERVER",
    "websockets.http11.d": "the regular expression of a number",
    "websockets.http11.read_body": _GRAMMAR,
    "websockets.imports.import_name": "a step of lazy_import",
    "websockets.imports.lazy_import": "takes the names of the legacy implementation, too",
    "websockets.asyncio.client.HTTPProxyConnection": _PROXY,
    "websockets.*.client.SOCKS_PROXY_*": _PROXY,
    "websockets.*.client.connect_*_proxy": _PROXY,
    "websockets.sync.client.read_connect_response": _PROXY,
    "websockets.sync.client.SSLSSLSocket": "`sync.tls.TLSInTLS`",
    "websockets.sync.client.[FT]": "type variables",
    "websockets.*.server.is_credentials": "a step of basic_auth",
    "websockets.sync.messages.Assembler.*": _QUEUE,
    "websockets.sync.server.Server.SHUTDOWN_POLLING_INTERVAL": "shutdown() wakes the server, which does not poll",
}
