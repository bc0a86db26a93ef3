"""utils.data.fetch: downloads from a server on this machine, which misbehaves in every way."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from utils import data
from utils.runtime import generator

PAYLOAD = generator(0).bytes(300_000)
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Serves PAYLOAD. The server object says how it misbehaves and counts what was asked."""

    def do_GET(self):
        start = self.headers.get("Range")
        self.server.ranges.append(start)
        if self.server.missing:
            self.send_error(404)
            return
        begin = int(start[len("bytes=") : -1]) if start and self.server.resumes else 0
        if begin >= len(PAYLOAD):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(PAYLOAD) - begin))
        self.end_headers()
        stop = self.server.cut_at or len(PAYLOAD)
        self.wfile.write(PAYLOAD[begin:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        http.ranges = []  # what was asked for
        http.resumes = True
        http.cut_at = None
        http.missing = False
        http.url = f"http://127.0.0.1:{http.server_port}/set/file.bin"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def test_download_fetches_once(server, tmp_path):
    path = data.download(server.url, SHA256)
    assert path == tmp_path / "file.bin"
    assert path.read_bytes() == PAYLOAD
    assert data.download(server.url, SHA256.upper()) == path
    assert server.ranges == [None]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interrupted_download_is_resumed(server, tmp_path, resumes):
    server.cut_at, server.resumes = 100_000, resumes
    with pytest.raises(
        ConnectionError, match="ended after 100000 of 300000 bytes; call again to resume"
    ):
        data.download(server.url, SHA256)
    assert (tmp_path / "file.bin.part").stat().st_size == 100_000
    assert not (tmp_path / "file.bin").exists()
    server.cut_at = None
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    assert server.ranges == [None, "bytes=100000-"]


def test_a_complete_part_is_only_verified(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(PAYLOAD)
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD


def test_a_part_of_another_file_is_dropped(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    assert server.ranges == ["bytes=1000-", None]


def test_a_corrupt_cached_file_is_reported_in_one_line_and_replaced(server, tmp_path, capsys):
    (tmp_path / "file.bin").write_bytes(PAYLOAD[:-1] + b"?")
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "file.bin is corrupt" in said


def test_a_corrupt_download_is_refused_and_nothing_is_kept(server, tmp_path):
    with pytest.raises(
        ValueError, match=f"sha256 of {server.url} must be {'0' * 64}, got {SHA256}"
    ):
        data.download(server.url, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_names_the_address(server):
    server.missing = True
    with pytest.raises(ConnectionError, match=f"cannot download {server.url} .HTTP 404"):
        data.download(server.url, SHA256)


def test_offline_is_one_line_with_the_address_and_the_override(server, tmp_path):
    unused = "http://127.0.0.1:9/file.bin"  # the discard port: nothing listens
    with pytest.raises(ConnectionError, match=f"cannot download {unused}.*COURSE_DATA") as caught:
        data.download(unused, SHA256, timeout=5)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("broken", ["a file", "a folder of that name", "unwritable", "full disk"])
def test_a_folder_that_cannot_hold_the_file_is_told_apart_from_the_network(
    server, tmp_path, monkeypatch, broken
):
    folder = tmp_path / "folder"
    monkeypatch.setenv("COURSE_DATA", str(folder))
    if broken == "a file":
        folder.write_text("")
    elif broken == "a folder of that name":
        (folder / "file.bin").mkdir(parents=True)
    else:
        from utils.data import fetch

        folder.mkdir()

        class Disk:
            """A file on a full disk, or none at all."""

            def write(self, block):
                raise OSError(28, "No space left on device")

            def __enter__(self):
                if broken == "unwritable":
                    raise PermissionError(13, "Permission denied")
                return self

            def __exit__(self, *_):
                pass

        monkeypatch.setattr(fetch.Path, "open", lambda *_, **__: Disk())
    with pytest.raises(
        OSError, match=r"^cannot keep file\.bin in .*: set COURSE_DATA to a folder"
    ) as error:
        data.download(server.url, SHA256)
    assert not isinstance(error.value, ConnectionError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("file:///etc/hostname", SHA256), "url must be an http"),
        (("http://x/y", "abc"), "sha256 must be 64 hexadecimal digits, got 'abc'"),
        (("http://x/y", SHA256, "../y"), "name must be a plain file name"),
        (("http://x/", SHA256), "name must be a plain file name"),
    ],
)
def test_download_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.download(*arguments)
