"""utils.data.images: archives of CIFAR-10 and Fashion-MNIST, whole, small and damaged."""

import gzip
import io
import tarfile
import warnings
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


def _flipped(path, at, bit=0):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    return path


def test_no_flipped_bit_in_the_directory_of_a_zip_changes_the_images(tmp_path):
    """Each is refused, unless what it changes, such as a date, is of no meaning here.

    The images themselves have checksums, the directory at the archive's end has none.
    """
    archive = _jpeg_archive(tmp_path / "images.zip", n=1)
    good = data.cifar10(archive=archive)
    raw = archive.read_bytes()
    rng = generator(0)
    n_refused = 0
    for at in rng.choice(np.arange(raw.index(b"PK\1\2"), len(raw)), 60, replace=False):
        archive.write_bytes(raw)
        _flipped(archive, at, rng.integers(8))
        try:
            split = data.cifar10(archive=archive)
        except ValueError:
            n_refused += 1
            continue
        for half in ("x_train", "y_train", "x_test", "y_test"):
            np.testing.assert_array_equal(getattr(split, half), getattr(good, half))
    assert n_refused > 20


@pytest.mark.parametrize("name", [b"train", b".jpg"])
def test_a_name_damaged_in_the_directory_of_a_zip_drops_no_image(tmp_path, name):
    archive = _jpeg_archive(tmp_path / "images.zip", n=2)
    _flipped(archive, archive.read_bytes().rindex(name))  # the directory is at the end
    with pytest.raises(ValueError, match="archive must be a whole file that can be read"):
        data.cifar10(archive=archive)


@pytest.mark.parametrize("told", [60, 2**16 - 1])  # the latter: more than two bytes can count
def test_an_entry_swallowed_by_the_comment_of_another_is_missed(tmp_path, told):
    archive = _jpeg_archive(tmp_path / "images.zip", n=3)
    # The entries of train/cat take 46 + 18 = 64 bytes each: a comment of 64 hides the next one.
    name = archive.read_bytes().rindex(b"train/cat/0000.jpg")
    _flipped(archive, name - 46 + 32, bit=6)
    pack = bytearray(archive.read_bytes())
    end = pack.rindex(b"PK\5\6")
    pack[end + 10 : end + 12] = told.to_bytes(2, "little")
    archive.write_bytes(pack)
    message = f"archive must be a zip that lists its {told} entries, got 59"
    with pytest.raises(ValueError, match=message):
        data.cifar10(archive=archive)


def _zip_of(path, content, method=zipfile.ZIP_DEFLATED):
    """A zip in which every image is ``content``."""
    with zipfile.ZipFile(path, "w", method) as pack:
        for half in ("train", "test"):
            for name in data.CIFAR10_CLASSES:
                pack.writestr(f"{half}/{name}/0.jpg", content)
    return path


@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000)])
def test_an_image_bomb_is_refused_by_its_header(tmp_path, size, monkeypatch):
    from PIL import Image, ImageFile

    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG")
    header = file.getvalue()
    at = header.index(b"\xff\xc0") + 5  # height and width of the frame
    large = header[:at] + size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big") + header[at + 4 :]
    archive = _zip_of(tmp_path / "bomb.zip", large)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"must be .*, got") as error:
            data.cifar10(archive=archive)
    assert "\n" not in str(error.value)


def test_only_jpeg_is_decoded_whatever_the_name_says(tmp_path):
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    with pytest.raises(ValueError, match="archive must be a whole file that can be read"):
        data.cifar10(archive=_zip_of(tmp_path / "png.zip", file.getvalue()))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_member_that_unpacks_to_much_is_refused(tmp_path, method):
    archive = _zip_of(tmp_path / "zeros.zip", bytes(2**20 + 1), method)
    with pytest.raises(ValueError, match="must be .*at most 1048576 bytes|must be packed with"):
        data.cifar10(archive=archive)


def test_an_archive_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_UNPACKED", 300_000)
    archive = _binary_archive(tmp_path / "cifar.tar.gz")
    with pytest.raises(ValueError, match="archive must be at most 300000 bytes when unpacked"):
        data.cifar10(archive=archive)


def _tar_of(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, size, kind in members:
            info = tarfile.TarInfo(name)
            info.size = size
            info.pax_headers = kind
            tar.addfile(info, io.BytesIO(bytes(size)))
    return path


BATCHES = [(f"c/data_batch_{i}.bin", 3073, {}) for i in range(1, 6)] + [
    ("c/test_batch.bin", 3073, {})
]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (BATCHES[1:], "archive must be one with data_batch_1..5.bin and test_batch.bin"),
        (BATCHES[:-1], "archive must be one with data_batch_1..5.bin and test_batch.bin"),
        ([*BATCHES, BATCHES[0]], "data_batch_1.bin must be in the archive once"),
        (
            # A sparse file: its header claims a terabyte that lies nowhere.
            [*BATCHES[1:], ("c/data_batch_1.bin", 512, {
                "GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,512",
            })],
            r"data_batch_1.bin must be 1 to 10000 records of 3073 bytes, got '1099511627776 bytes'",
        ),
        (
            [("a\nb/data_batch_1.bin", 100, {})],
            "data_batch_1.bin must be 1 to 10000 records of 3073 bytes, got '100 bytes'",
        ),
    ],
)  # fmt: skip
def test_a_tar_with_other_members_is_refused(tmp_path, members, message):
    archive = _tar_of(tmp_path / "cifar.tar.gz", members)
    with pytest.raises(ValueError, match=f"^{message}"):
        data.cifar10(archive=archive)


def test_a_tar_without_a_checksum_is_refused(tmp_path):
    packed = _binary_archive(tmp_path / "cifar.tar.gz").read_bytes()
    (tmp_path / "cifar.tar").write_bytes(gzip.decompress(packed))
    with pytest.raises(ValueError, match=r"archive must be the binary .tar.gz or a .zip"):
        data.cifar10(archive=tmp_path / "cifar.tar")


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
    # urllib reads the proxies at its first call and keeps them: this test's must not stay.
    monkeypatch.setattr("urllib.request._opener", None)
    with pytest.raises(ConnectionError, match=r"cannot download http://fashion-mnist.*COURSE_DATA"):
        data.fashion_mnist()
