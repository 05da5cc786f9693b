"""What extensions and their factories offer."""

from __future__ import annotations

from collections.abc import Sequence

from voxwire.compat.websockets.frames import Frame
from voxwire.compat.websockets.typing import ExtensionName, ExtensionParameter

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]


class Extension:
    """An extension that was agreed on."""

    name: ExtensionName
    """What it is called in headers."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Answer an incoming frame without the extension. Raises PayloadTooBig."""
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """Answer an outgoing frame with the extension."""
        raise NotImplementedError


class ClientExtensionFactory:
    """Offers an extension to servers."""

    name: ExtensionName
    """What it is called in headers."""

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Answer the parameters of the offer."""
        raise NotImplementedError

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> Extension:
        """Take the server's parameters. Raises NegotiationError."""
        raise NotImplementedError


class ServerExtensionFactory:
    """Takes a client's offer."""

    name: ExtensionName
    """What it is called in headers."""

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Answer our parameters and the extension. Raises NegotiationError to refuse the offer."""
        raise NotImplementedError
