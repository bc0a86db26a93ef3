"""utils.data.images: archives of CIFAR-10 and Fashion-MNIST, whole, small and damaged."""

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pytest

from utils import data
from utils.data import images
from utils.runtime import generator


def _binary_archive(path, n=20, label=None):
    rng = generator(0)
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
                    # A ZipInfo of its own holds no clock: the archive's bytes are always the same.
                    entry = zipfile.ZipInfo(f"{half}/{name}/{i:04d}.jpg")
                    pack.writestr(entry, file.getvalue())
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
    pack = bytearray(_jpeg_archive(tmp_path / "images.zip", n=1).read_bytes())
    for at in range(0, len(pack) - 2, 2):  # the start of every image; sizes and names stay right
        if pack[at : at + 2] == b"\xff\xd8" or pack[at + 1 : at + 3] == b"\xff\xd8":
            pack[at : at + 3] = b"xxx"
    (tmp_path / "images.zip").write_bytes(pack)
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
    rng = generator(0)
    for file in images.FASHION_SHA256:
        n = 12 if file.startswith("train") else 5
        pixels = rng.integers(0, 256, (n, 784), dtype=np.uint8)
        body = bytes(16) + pixels.tobytes() if "images" in file else bytes(8) + bytes(range(n % 10))
        body += bytes(range(n - n % 10)) if "labels" in file else b""
        path = tmp_path / f"fashion-mnist-{file}"
        path.write_bytes(gzip.compress(body, mtime=0))
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
