"""Tests of utils.data: splits, text, downloads (from a server on this machine) and archives."""

import hashlib
import io
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from utils import data

PAYLOAD = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


# Digits


def test_digits_are_centred_scaled_and_disjoint():
    split = data.digits(600, seed=3, dtype=np.float64)
    assert split.x_train.shape == (600, 64)
    assert split.x_test.shape == (1197, 64)
    assert split.y_train.dtype == np.int64
    np.testing.assert_allclose(split.x_train.mean(0), 0, atol=1e-14)
    assert (split.x_train**2).sum(1).mean() == pytest.approx(1, rel=1e-12)
    assert not split.flipped.any()
    both = np.vstack([split.x_train, split.x_test])
    assert len(np.unique(both, axis=0)) == 1797  # no image is on both sides


def test_label_noise_moves_the_stated_share_to_wrong_classes_of_the_same_images():
    clean, noisy = data.digits(1500, seed=1), data.digits(1500, label_noise=0.2, seed=1)
    np.testing.assert_array_equal(clean.x_train, noisy.x_train)
    np.testing.assert_array_equal(clean.y_test, noisy.y_test)
    np.testing.assert_array_equal(clean.y_train != noisy.y_train, noisy.flipped)
    assert abs(noisy.flipped.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 1500)
    moved = (noisy.y_train - clean.y_train)[noisy.flipped] % 10
    assert set(moved) == set(range(1, 10))
    assert (data.digits(50, label_noise=1.0).flipped).all()


def test_digits_follow_from_the_seed():
    first, same, other = (data.digits(100, 0.3, seed=seed, n_test=50) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.x_train, same.x_train)
    np.testing.assert_array_equal(first.y_train, same.y_train)
    assert (first.x_train != other.x_train).any()
    assert first.x_test.shape == (50, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"n_train": 100, "label_noise": 1.5},
            r"label_noise must be a number in \[0, 1\], got 1.5",
        ),
        ({"n_train": 100, "label_noise": float("nan")}, "label_noise must be a number .* got nan"),
        ({"n_train": 0}, r"n_train must be a whole number in \[1, 1796\], got 0"),
        ({"n_train": 1000, "n_test": 798}, r"n_test must be a whole number in \[1, 797\], got 798"),
        ({"n_train": 100, "seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (
            {"n_train": 100, "dtype": np.int32},
            "dtype must be np.float32 or np.float64, got .*int32",
        ),
    ],
)
def test_digits_refuse_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.digits(**arguments)


def test_one_hot_is_centred():
    targets = data.one_hot([0, 9])
    assert targets.shape == (2, 10)
    np.testing.assert_allclose(targets.sum(1), 0, atol=1e-15)
    assert targets[1, 9] == pytest.approx(0.9)
    with pytest.raises(ValueError, match=r"labels must be in \[0, 9\]"):
        data.one_hot([10])


def test_whole_labels_of_any_type_stay_and_fractions_are_refused():
    for labels in ([1, 2], [1.0, 2.0], np.array([1, 2], np.uint8)):
        checked = data.checked_array("labels", labels, ("n",), np.int64)
        assert (checked.dtype, checked.tolist()) == (np.int64, [1, 2])
    generator = np.random.default_rng(0)
    for bad, message in (
        ([1.5], "labels must be an array of whole numbers that fit int64, got 1.5"),
        ([10**30], "labels must be an array of whole numbers that fit int64, got 1e"),
        (
            np.array([2**64 - 1], np.uint64),
            "labels must be an array of whole numbers that fit int64, got 1",
        ),
        ([np.nan], "labels must be finite, got 1 NaN or infinite of 1 entries"),
        (["1"], "labels must be an array of numbers, got list"),
        ([12, 13], r"labels must be in \[0, 9\], got"),
        ([-1], r"labels must be in \[0, 9\], got"),
    ):
        for call in (data.one_hot, lambda labels: data.flip_labels(labels, 0.5, generator)):
            with pytest.raises(ValueError, match=f"^{message}"):
                call(bad)
    with pytest.raises(ValueError, match=r"^rng must be a numpy.random.Generator, got None$"):
        data.flip_labels([1, 2], 0.5, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3), r"X must be an array of shape \(n, 2\), got an array of shape \(3,\)"),
        (np.zeros((4, 3)), r"X must be an array of shape \(n, 2\), got an array of shape \(4, 3\)"),
        (np.zeros((0, 2)), r"X must be an array of shape \(n, 2\), got an array of shape \(0, 2\)"),
        ([[1.0, np.nan], [np.inf, 0.0]], "X must be finite, got 2 NaN or infinite of 4 entries"),
        ("text", "X must be an array of numbers, got str"),
        ([[1, 2], [3]], "X must be an array of numbers, got list"),
        ([["1", "2"]], "X must be an array of numbers, got list"),
        (np.ones((1, 2)) * 1j, "X must be an array of numbers, got ndarray"),
    ],
)
def test_checked_array_names_the_argument(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.checked_array("X", value, ("n", 2))
    assert "\n" not in str(caught.value)


# Text


def test_python_docs_hold_documentation_and_docstrings():
    corpus = data.python_docs(("docstrings",))
    pages = dict(corpus.documents)
    assert len(pages) == len(corpus.documents) > 300
    assert 1_000_000 < sum(map(len, pages.values())) < 4_000_000
    assert "command" in pages["docstrings/argparse.py"].lower()
    assert not any("/test" in name or "__pycache__" in name for name in pages)
    assert corpus.python_version.count(".") == 2


def test_the_split_is_by_whole_documents_and_depends_on_the_name_alone():
    documents = [(f"docstrings/m{i}.py", "text") for i in range(2000)]
    train, validation = data.TextCorpus(documents, "3.0.0").split(0.1, seed=1)
    assert sorted(train + validation) == sorted(documents)
    assert abs(len(validation) - 200) < 60
    fewer = data.TextCorpus(documents[::2], "3.0.0").split(0.1, seed=1)[1]
    assert set(fewer) <= set(validation)
    sources = data.TextCorpus([("sources/" + n.split("/")[1], t) for n, t in documents], "3.0.0")
    assert {n.split("/")[1] for n, _ in sources.split(0.1, seed=1)[1]} == {
        n.split("/")[1] for n, _ in validation
    }
    with pytest.raises(
        ValueError, match=r"validation_fraction must be a number in \(0, 1\), got 1.0"
    ):
        data.TextCorpus(documents, "3.0.0").split(1.0)


def test_a_python_without_topics_skips_them_and_says_so_when_nothing_is_left(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)  # as a Linux package may ship it
    both = data.python_docs(("topics", "docstrings")).documents
    assert all(name.startswith("docstrings/") for name, _ in both)
    with pytest.raises(FileNotFoundError, match="ships none of topics"):
        data.python_docs(("topics",))


def test_python_docs_refuse_unknown_parts():
    with pytest.raises(
        ValueError, match="parts must be one of 'topics', 'docstrings', 'sources', got 'wiki'"
    ):
        data.python_docs(("wiki",))
    with pytest.raises(ValueError, match="parts must be a tuple"):
        data.python_docs("topics")


# Downloads


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
        http.ranges, http.resumes, http.cut_at, http.missing = [], True, None, False
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


# Images


def _binary_archive(path, n=20, label=None):
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as tar:
        for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
            rows = rng.integers(0, 256, (n, 3073), dtype=np.uint8)
            rows[:, 0] = rng.integers(0, 10, n) if label is None else label
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = rows.size
            tar.addfile(info, io.BytesIO(rows.tobytes()))
    return path


def _jpeg_archive(path, n=3, classes=data.CIFAR10_CLASSES, size=(32, 32)):
    from PIL import Image

    with zipfile.ZipFile(path, "w") as pack:
        for half in ("train", "test"):
            for k, name in enumerate(classes):
                for i in range(n):
                    file = io.BytesIO()
                    Image.new("RGB", size, (25 * k, 0, 0)).save(file, "JPEG")
                    pack.writestr(f"{half}/{name}/{i:04d}.jpg", file.getvalue())
    return path


def test_cifar10_reads_the_binary_release(tmp_path):
    archive = _binary_archive(tmp_path / "cifar-10-binary.tar.gz")
    split = data.cifar10(archive=archive, label_noise=0.5, seed=1)
    assert split.x_train.shape == (100, 3, 32, 32)
    assert split.x_test.shape == (20, 3, 32, 32)
    assert split.x_train.dtype == np.uint8
    assert split.source["sha256"] == data.file_sha256(archive)
    clean = data.cifar10(archive=archive, seed=1)
    np.testing.assert_array_equal(clean.y_train != split.y_train, split.flipped)
    with tarfile.open(archive) as tar:
        raw = tar.extractfile("cifar-10-batches-bin/data_batch_1.bin").read()
    first = np.frombuffer(raw[1:3073], np.uint8).reshape(3, 32, 32)
    where = (clean.x_train == first).all((1, 2, 3))
    assert where.sum() == 1
    assert clean.y_train[where] == raw[0]


def test_cifar10_reads_jpeg_images_through_the_environment(tmp_path, monkeypatch):
    archive = _jpeg_archive(tmp_path / "images.zip")
    monkeypatch.setenv("COURSE_CIFAR", str(archive))
    split = data.cifar10(n_train=20, n_test=10)
    assert split.x_train.shape == (20, 3, 32, 32)
    assert split.y_test.shape == (10,)
    # The red plane encodes the class: images and labels kept together through the shuffle.
    np.testing.assert_allclose(split.x_train[:, 0].mean((1, 2)) / 25, split.y_train, atol=0.2)
    assert "JPEG" in split.source["name"]


def test_cifar10_refuses_what_it_cannot_read(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(
        ValueError, match=r"archive must be the binary .tar.gz or a .zip of JPEG images"
    ):
        data.cifar10(archive=tmp_path / "notes.txt")
    with pytest.raises(
        FileNotFoundError, match=r"archive .or COURSE_CIFAR. must be an existing file"
    ):
        data.cifar10(archive=tmp_path / "absent.zip")
    nine = _jpeg_archive(tmp_path / "nine.zip", n=1, classes=data.CIFAR10_CLASSES[:9])
    with pytest.raises(ValueError, match="train/ in archive must be CIFAR-10's ten classes"):
        data.cifar10(archive=nine)
    large = _jpeg_archive(tmp_path / "large.zip", n=1, size=(40, 32))
    with pytest.raises(ValueError, match=r"must be 32×32 pixels, got \(40, 32\)"):
        data.cifar10(archive=large)
    wrong = _binary_archive(tmp_path / "wrong.tar.gz", label=11)
    with pytest.raises(ValueError, match="archive must be labels 0 to 9"):
        data.cifar10(archive=wrong)
    with pytest.raises(ValueError, match=r"n_train must be a whole number in \[1, 30\], got 31"):
        data.cifar10(n_train=31, archive=_jpeg_archive(tmp_path / "small.zip"))


def test_a_damaged_archive_is_one_clear_line(tmp_path):
    whole = _binary_archive(tmp_path / "cifar.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "changed.tar.gz").write_bytes(whole[:20_000] + bytes(2000) + whole[22_000:])
    _binary_archive(tmp_path / "empty.tar.gz", n=0, label=0)
    images = bytearray(_jpeg_archive(tmp_path / "images.zip", n=1).read_bytes())
    for at in range(0, len(images) - 2, 2):  # the start of every image; sizes and names stay right
        if images[at : at + 2] == b"\xff\xd8" or images[at + 1 : at + 3] == b"\xff\xd8":
            images[at : at + 3] = b"xxx"
    (tmp_path / "images.zip").write_bytes(images)
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as pack:
        for half in ("train", "test"):
            for name in data.CIFAR10_CLASSES:
                pack.writestr(f"{half}/{name}/0.jpg", "no image")
    for name in ("cut.tar.gz", "changed.tar.gz", "empty.tar.gz", "images.zip", "text.zip"):
        with pytest.raises(ValueError, match="must be") as error:
            data.cifar10(archive=tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("load", [data.cifar10, data.fashion_mnist])
@pytest.mark.parametrize("name", ["n_train", "n_test"])
def test_sizes_are_checked_before_a_download(load, name, monkeypatch):
    monkeypatch.delenv("COURSE_CIFAR", raising=False)
    monkeypatch.setattr("utils.data.images.download", lambda *_, **__: pytest.fail("downloaded"))
    for bad in (-1, 0, True, 1.5):
        with pytest.raises(
            ValueError, match=f"^{name} must be a whole number of at least 1, got {bad}$"
        ):
            load(**{name: bad})


def test_fashion_mnist_reads_the_idx_files(tmp_path, monkeypatch):
    """The cached files stand in for the release: four small ones in its format."""
    import gzip

    from utils.data import images

    rng = np.random.default_rng(0)
    for file in images.FASHION_SHA256:
        n = 12 if file.startswith("train") else 5
        pixels = rng.integers(0, 256, (n, 784), dtype=np.uint8)
        body = bytes(16) + pixels.tobytes() if "images" in file else bytes(8) + bytes(range(n % 10))
        body += bytes(range(n - n % 10)) if "labels" in file else b""
        path = tmp_path / f"fashion-mnist-{file}"
        path.write_bytes(gzip.compress(body))
        monkeypatch.setitem(images.FASHION_SHA256, file, data.file_sha256(path))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    split = data.fashion_mnist()
    assert split.x_train.shape == (12, 1, 28, 28)
    assert split.x_test.shape == (5, 1, 28, 28)
    assert split.y_test.max() <= 9


def test_fashion_mnist_offline_names_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ConnectionError, match=r"cannot download http://fashion-mnist.*COURSE_DATA"):
        data.fashion_mnist()
