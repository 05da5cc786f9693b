"""The server of all cases: `native/src/bin/server.rs`, with a certificate that is made for the run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from benches.child import Child


class Server:
    """Runs until the context is left."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        self._authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self._authority))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        job = {"certificate": str(folder / "server.pem"), "key": str(folder / "server.pem")}
        self._process = self._stack.enter_context(Child("native/server", job, core=self._core))
        ports = self._process.hear()
        self.url = f"ws://127.0.0.1:{ports['port']}"
        self.tls_url = f"wss://localhost:{ports['tls_port']}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def trusted(self, tls: bool) -> Iterator[None]:
        """Processes started inside trust the server's certificate: OpenSSL and rustls read this variable."""
        if not tls:
            yield
            return
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(self._authority)
        try:
            yield
        finally:
            if before is None:
                del os.environ["SSL_CERT_FILE"]
            else:
                os.environ["SSL_CERT_FILE"] = before

    def pace(self, seconds: float) -> dict[str, Any]:
        """Sends frames to all media connections for so long; what came back."""
        self._process.tell(seconds=seconds)
        return self._process.hear(seconds + 30)
