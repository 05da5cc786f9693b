"""A headless Chromium that runs JavaScript for the tests: it asks the test's HTTP server for jobs and posts answers.

No driver and no debugging protocol: a page, and HTTP. The tests' own JavaScript is in `chromium/`.
"""

from __future__ import annotations

import asyncio
import json
import queue
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, Self

from children import Child

HERE = Path(__file__).parent / "chromium"
FILES = {
    "/": ("page.html", "text/html"),
    "/trace.js": ("trace.js", "text/javascript"),
    "/client.js": ("client.js", "text/javascript"),
}
PATIENCE = 60.0  # seconds until a starting browser asks for its first job
POLL = 20.0  # seconds that an empty queue holds a request up


class Browser:
    """`run(code, name=value…)` runs the body of an async function in the page and answers what it returns."""

    def __init__(self, directory: Path) -> None:
        self._jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = count()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        self._directory = directory

    def __enter__(self) -> Self:
        self._thread.start()
        self._child = Child(
            self._directory,
            "chromium",
            "--headless=new",
            "--no-sandbox",  # which root needs
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-proxy-server",
            "--ignore-certificate-errors",  # the tests' own authority
            f"--user-data-dir={self._directory / 'profile'}",
            self.origin,
            HOME=str(self._directory),
        )
        try:
            self.run("return document.title", patience=PATIENCE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()
        self._jobs.put(None)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(PATIENCE)

    def run(self, code: str, *, patience: float = 30.0, **arguments: Any) -> Any:
        """What the code returns; AssertionError with the browser's output when it throws, or never answers."""
        number = next(self._numbers)
        answer: Future[Any] = Future()
        self._answers[number] = answer
        self._jobs.put({"id": number, "code": code, "names": list(arguments), "values": list(arguments.values())})
        try:
            return answer.result(patience)
        except TimeoutError:
            raise AssertionError(f"Chromium did not answer in {patience} s:\n{self._child.output()}") from None

    async def arun(self, code: str, **arguments: Any) -> Any:
        """The same, with the loop free for the server that the page talks to."""
        return await asyncio.to_thread(self.run, code, **arguments)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        browser = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/job":
                    try:
                        job = browser._jobs.get(timeout=POLL)
                    except queue.Empty:
                        job = {"id": -1, "code": "", "names": [], "values": []}
                    if job is not None:
                        self._answer(json.dumps(job).encode(), "application/json")
                elif self.path in FILES:
                    file, kind = FILES[self.path]
                    self._answer((HERE / file).read_bytes(), kind)
                else:
                    self.send_error(404)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = browser._answers.pop(body["id"], None)
                if answer is not None and "error" in body:
                    answer.set_exception(AssertionError(f"in the page: {body['error']}"))
                elif answer is not None:
                    answer.set_result(body.get("value"))
                self._answer(b"", "text/plain")

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, *_: object) -> None:
                """Says nothing."""

        return Handler
