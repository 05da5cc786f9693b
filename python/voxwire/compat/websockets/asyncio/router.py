"""`route`, `unix_route`: handlers by the path of the request, with the URL maps of werkzeug."""

from __future__ import annotations

import http
import urllib.parse
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from .server import Server, ServerConnection, serve

if TYPE_CHECKING:
    import ssl as ssl_module
    from typing import Literal

    from voxwire.compat.websockets.http11 import Request, Response
    from voxwire.compat.websockets.typing import PathLike

__all__ = ["Router", "route", "unix_route"]


def route(
    url_map: Any,
    *args: Any,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | Literal[True] | None = None,
    create_router: type[Router] | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSockets with the handlers of a `werkzeug.routing.Map`; what its rules capture are keyword arguments.

    Takes what `serve` takes besides. `ssl=True`: something in front of the server does TLS. Raises ImportError without
    werkzeug.
    """
    require_werkzeug("route")
    if ssl is not None and ssl is not True:
        kwargs["ssl"] = ssl
    router = (Router if create_router is None else create_router)(url_map, server_name, "ws" if ssl is None else "wss")
    first = kwargs.pop("process_request", None)

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        response = first(connection, request)
        if isinstance(response, Awaitable):
            response = await response
        return router.route_request(connection, request) if response is None else response

    chosen = router.route_request if first is None else process_request
    return serve(router.handler, *args, process_request=chosen, **kwargs)


def unix_route(url_map: Any, path: PathLike | None = None, **kwargs: Any) -> Server:
    """Do the same on a Unix socket."""
    require_werkzeug("unix_route")
    return route(url_map, unix=True, path=path, **kwargs)


class Router:
    """Finds the handler of a request."""

    def __init__(self, url_map: Any, server_name: str | None = None, url_scheme: str = "ws") -> None:
        """Keep the map, and how the server is called from outside."""
        self.url_map = url_map
        self.server_name = server_name
        self.url_scheme = url_scheme
        for rule in url_map.iter_rules():
            rule.websocket = True

    def get_server_name(self, connection: ServerConnection, request: Request) -> str:  # noqa: ARG002 - for subclasses
        """Answer how the server is called."""
        return request.headers["Host"] if self.server_name is None else self.server_name

    def redirect(self, connection: ServerConnection, url: str) -> Response:
        """Answer the response that leads elsewhere."""
        response = connection.respond(http.HTTPStatus.FOUND, f"Found at {url}")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: ServerConnection) -> Response:
        """Answer the response where no rule fits."""
        return connection.respond(http.HTTPStatus.NOT_FOUND, "Not Found")

    def route_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Find the handler; answer a response if there is none."""
        from werkzeug.exceptions import NotFound  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - optional
        from werkzeug.routing import RequestRedirect  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

        server_name = self.get_server_name(connection, request)
        adapter = self.url_map.bind(server_name=server_name, url_scheme=self.url_scheme)
        parsed = urllib.parse.urlparse(request.path)
        try:
            handler, kwargs = adapter.match(path_info=parsed.path, query_args=parsed.query)
        except RequestRedirect as redirect:
            return self.redirect(connection, redirect.new_url)
        except NotFound:
            return self.not_found(connection)
        connection.handler, connection.handler_kwargs = handler, kwargs
        return None

    async def handler(self, connection: ServerConnection) -> None:
        """Call the handler that was found."""
        await connection.handler(connection, **connection.handler_kwargs)


def require_werkzeug(name: str) -> None:
    """Raise ImportError without werkzeug."""
    try:
        import werkzeug.routing  # noqa: F401, PLC0415  # pyright: ignore[reportMissingImports] - optional
    except ImportError:
        message = f"{name}() requires werkzeug"
        raise ImportError(message) from None
