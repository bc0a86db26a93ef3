"""Serve the built book on this machine: ``make serve``, or ``make serve PORT=8001``."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from utils.runtime import repo_root
from utils.validate import require


def server(folder: Path, port: str) -> ThreadingHTTPServer:
    """A server of the files in ``folder``, for this machine alone. Port 0 is one that is free.

    Raises ``ValueError`` for what is no port, and ``OSError`` for one that cannot be had, each in
    one line.
    """
    # Its length comes first: Python refuses to read a number of thousands of digits.
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 2**16
    require(is_port, "PORT", "a whole number below 65536", port)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
    except OSError as error:
        reason = f"port {port} cannot be used ({error.strerror})"
        raise OSError(f"{reason}: name another, as in make serve PORT=8001") from None


def main(arguments: list[str] | None = None) -> None:
    """The command line: the port."""
    [port] = sys.argv[1:] if arguments is None else arguments
    try:
        book = server(repo_root() / "_build" / "html", port)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(f"http://localhost:{book.server_port} (stop with Ctrl-C)", flush=True)
    with book, contextlib.suppress(KeyboardInterrupt):
        book.serve_forever()


if __name__ == "__main__":
    main()
