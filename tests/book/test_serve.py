"""The built book over http, or one line that says why not."""

import threading
import urllib.request

import pytest

from utils.book import serve
from utils.book.serve import server


def test_a_page_is_served(tmp_path):
    (tmp_path / "index.html").write_text("the book")
    with server(tmp_path, "0") as book:
        threading.Thread(target=book.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{book.server_port}/") as page:
            assert page.read() == b"the book"
        book.shutdown()


def test_a_busy_port_is_one_line(tmp_path):
    with server(tmp_path, "0") as book:
        port = book.server_port
        with pytest.raises(SystemExit, match="Address already in use") as end:
            serve.main([str(port)])
    told = str(end.value)
    assert told.startswith(f"port {port} cannot be used (")
    assert told.endswith("): name another, as in make serve PORT=8001")


@pytest.mark.parametrize(
    "port", ["", "http", "-1", "65536", "8000.0", "8 000", "²", "$(id)", "8" * 5000]
)
def test_what_is_no_port_is_refused(port):
    with pytest.raises(SystemExit, match="^PORT must be a whole number below 65536, got "):
        serve.main([port])
