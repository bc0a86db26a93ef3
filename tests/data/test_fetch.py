"""utils.data.fetch: downloads from a server on this machine, which misbehaves in every way."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from utils import data
from utils.files import locked
from utils.runtime import generator, repo_root

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
        if self.server.raw:
            self.wfile.write(self.server.raw)
            return
        begin = int(start[len("bytes=") : -1]) if start and self.server.resumes else 0
        if begin >= len(PAYLOAD):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(PAYLOAD) - begin))
        self.end_headers()
        stop = self.server.cut_at or len(PAYLOAD)
        at_once = self.server.at_once or len(PAYLOAD)
        for first in range(begin, stop, at_once):
            self.wfile.write(PAYLOAD[first : min(first + at_once, stop)])
            time.sleep(self.server.pause)
        self.server.goes_on.wait(timeout=20)

    def log_message(self, *_):
        pass


# Waits for a line of input, so that many start at the same moment.
PROGRAM = """
import sys
from utils.data.fetch import download
print("ready", flush=True)
sys.stdin.readline()
print(download(sys.argv[1], sys.argv[2]))
"""


def process(server):
    """Another Python that is about to download."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, SHA256],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=repo_root(),
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as http:
        http.ranges = []  # what was asked for
        http.resumes = True
        http.cut_at = None
        http.missing = False
        http.raw = b""  # what is sent instead of an answer
        http.at_once = None  # bytes between two pauses
        http.pause = 0.0  # seconds
        http.goes_on = threading.Event()  # until then it stalls after what it has sent
        http.goes_on.set()
        http.url = f"http://127.0.0.1:{http.server_port}/set/file.bin"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield http
        http.goes_on.set()
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


PAGE = b"<html>Please sign in</html>"
SIGN_IN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)


@pytest.mark.parametrize(
    ("raw", "cut_at", "error", "kept"),
    [
        (b"", 20_000, ConnectionError, 150_000),  # the server cannot resume, and drops early,
        (b"", 200_000, ConnectionError, 200_000),  # or late
        (SIGN_IN, None, ValueError, 150_000),  # a portal, until one has signed in
    ],
)
def test_a_whole_answer_replaces_what_was_kept_only_if_it_is_better(
    server, tmp_path, raw, cut_at, error, kept
):
    part = tmp_path / "file.bin.part"
    part.write_bytes(PAYLOAD[:150_000])
    server.resumes, server.raw, server.cut_at = False, raw, cut_at
    with pytest.raises(error):
        data.download(server.url, SHA256)
    assert part.read_bytes() == PAYLOAD[:kept]
    assert list(tmp_path.iterdir()) == [part]
    assert server.ranges == ["bytes=150000-"]

    server.resumes, server.raw, server.cut_at = True, b"", None
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    assert server.ranges == ["bytes=150000-", f"bytes={kept}-"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_what_was_kept_of_another_file_does_not_stay_beside_the_right_one(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    server.resumes = False
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    assert server.ranges == ["bytes=1000-"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_what_arrived_before_a_stall_is_kept(server, tmp_path):
    server.cut_at = 100_000
    server.goes_on.clear()
    with pytest.raises(ConnectionError, match="timed out"):
        data.download(server.url, SHA256, timeout=0.3)
    assert (tmp_path / "file.bin.part").read_bytes() == PAYLOAD[:100_000]


def test_a_server_that_drips_is_given_up(server, tmp_path):
    server.at_once, server.pause, server.cut_at = 1, 0.05, 60  # 20 bytes a second
    with pytest.raises(ConnectionError, match=r"only \d+ bytes in 0.5 seconds; call again"):
        data.download(server.url, SHA256, timeout=0.5)
    kept = (tmp_path / "file.bin.part").read_bytes()
    assert 0 < len(kept) < 25
    assert PAYLOAD.startswith(kept)


def test_a_slow_connection_is_not_cut(server):
    server.at_once, server.pause = 75_000, 0.15
    assert data.download(server.url, SHA256, timeout=0.4).read_bytes() == PAYLOAD


def test_a_server_that_keeps_the_connection_open_is_not_waited_for(server):
    server.goes_on.clear()
    assert data.download(server.url, SHA256, timeout=5).read_bytes() == PAYLOAD


@pytest.mark.parametrize(("before", "n"), [(None, 12), (b"corrupt", 3)])
def test_of_many_processes_one_downloads_and_the_others_wait(server, tmp_path, before, n):
    if before is not None:
        (tmp_path / "file.bin").write_bytes(before)
    server.at_once, server.pause = 100_000, 0.2
    processes = [process(server) for _ in range(n)]
    for one in processes:
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        one.stdin.write("\n")
        one.stdin.flush()

    waited = 0
    # The number is missing only in the moment before the one who holds the file has written it.
    holders = [f"process {one.pid}" for one in processes] + ["another process"]
    for one in processes:
        told, errors = one.communicate(timeout=60)
        assert (one.returncode, told) == (0, f"{tmp_path / 'file.bin'}\n"), errors
        waits = [line for line in errors.splitlines() if "is in use by" in line]
        waited += len(waits)
        assert len(waits) <= 1
        assert errors.count("\n") == len(waits) + errors.count("is corrupt")
        assert all(any(f"by {who}: waiting" in line for who in holders) for line in waits)
    assert waited > 0
    assert server.ranges == [None]
    assert (tmp_path / "file.bin").read_bytes() == PAYLOAD
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_download_leaves_its_part_and_no_lock(server, tmp_path):
    server.cut_at = 100_000
    server.goes_on.clear()
    killed = process(server)
    killed.stdin.write("\n")
    killed.stdin.flush()
    part = tmp_path / "file.bin.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size == 100_000):
        assert time.monotonic() < deadline, "what has arrived is not in the part"
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    server.cut_at = None
    server.goes_on.set()
    assert data.download(server.url, SHA256).read_bytes() == PAYLOAD
    assert server.ranges == [None, "bytes=100000-"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_a_file_that_is_right_needs_no_lock(server, tmp_path):
    """So a folder that can only be read serves what it holds."""
    path = tmp_path / "file.bin"
    path.write_bytes(PAYLOAD)
    with locked(path):
        assert data.download(server.url, SHA256) == path
    assert server.ranges == []


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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /set/file.bin\r\n\r\n", "infinite loop"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[x\r\n\r\n", "Invalid IPv6 URL"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///x\r\n\r\n", "not allowed"),
        (b"garbage \x1b[31m\r\nin two lines\r\n", "garbage"),
        (b"g" * 5000 + b"\r\n", "ggg"),
        (b"HTTP/1.1 500 a\x0bb\x85c\r\n\r\n", "HTTP 500 a"),
    ],
)
def test_an_answer_that_cannot_be_used_is_one_line(server, answer, said):
    server.raw = answer
    with pytest.raises(ConnectionError, match="^cannot download http") as error:
        data.download(server.url, SHA256)
    assert said in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


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
        (("http://[x/y", SHA256), "url must be an http"),
        (("http://x:99999/y", SHA256), "url must be an http"),
        (("http:///y", SHA256), "url must be an http"),
        (("http://x/a\nb", SHA256), "url must be an http"),
        (("http://x/é", SHA256), "url must be an http"),
        (("http://x/y", "abc"), "sha256 must be 64 hexadecimal digits, got 'abc'"),
        (("http://x/y", SHA256, "../y"), "name must be a plain file name"),
        (("http://x/", SHA256), "name must be a plain file name"),
        (("http://x/a%0Ab", SHA256), "name must be a plain file name"),
        (("http://x/y", SHA256, None, 0), r"timeout must be a number in \(0, 86400\], got 0$"),
        (("http://x/y", SHA256, None, 1e308), r"timeout must be .*, got 1e\+308$"),
    ],
)
def test_download_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        data.download(*arguments)
    assert "\n" not in str(error.value)
