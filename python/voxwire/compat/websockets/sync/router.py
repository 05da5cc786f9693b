"""`route`, `unix_route`: handlers by the path of the request, with the URL maps of werkzeug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from voxwire.compat.websockets.asyncio.router import Router as AsyncRouter
from voxwire.compat.websockets.asyncio.router import require_werkzeug

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

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        response: Response | None = None if first is None else first(connection, request)
        return router.route_request(cast("Any", connection), request) if response is None else response

    return serve(router.handler, *args, process_request=process_request, **kwargs)


def unix_route(url_map: Any, path: PathLike | None = None, **kwargs: Any) -> Server:
    """Do the same on a Unix socket."""
    require_werkzeug("unix_route")
    return route(url_map, unix=True, path=path, **kwargs)


class Router(AsyncRouter):
    """Finds the handler of a request."""

    def handler(self, connection: ServerConnection) -> None:  # type: ignore[override]  # no coroutine here
        """Call the handler that was found."""
        connection.handler(connection, **connection.handler_kwargs)
