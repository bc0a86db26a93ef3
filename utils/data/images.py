"""CIFAR-10 and Fashion-MNIST, for runs at full scale.

No pickle is read: CIFAR-10 comes as its binary release or as JPEG files, Fashion-MNIST in the IDX
format. Every byte that becomes a pixel or a label has passed a checksum, and nothing is unpacked or
decoded beyond the size that such a file can have.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.data.fetch import download, file_sha256
from utils.data.labelled import Split, flip_labels
from utils.runtime import generator
from utils.validate import integer, number, require

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
# One label byte and 32×32 pixels, first all of the red, then green, then blue.
CIFAR10_RECORD = 1 + 3 * 32 * 32
CIFAR10_BATCH = 10_000  # records in each file of the release
CIFAR10_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR10_TEST = "test_batch.bin"

# What a file may come to when unpacked, in bytes; a few kB of an archive can hold gigabytes.
MAX_UNPACKED = 2**28  # the whole release is 184 MB
MAX_JPEG = 2**20  # an image of 32×32 pixels is about 1 kB

GZIP_MAGIC = b"\x1f\x8b"
# The record at the end of a zip: how it begins, and the bytes that count the archive's files.
ZIP_END = b"PK\x05\x06"
ZIP_END_COUNT = slice(10, 12)
ZIP_END_MANY = 2**16 - 1  # the count of an archive of so many files, or more
ZIP_END_LONGEST = 22 + 2**16  # with the longest comment

# An S3 website endpoint speaks plain http only; the hashes are what vouches for the bytes.
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
# Bytes before the first entry of an IDX file: what it holds, and the length of each axis.
IDX_IMAGES_HEADER = 16
IDX_LABELS_HEADER = 8

# What the readers of archives and images raise for damaged bytes; Pillow's errors are OSErrors too.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    UnicodeDecodeError,
    OverflowError,
)


class Images(NamedTuple):
    """A whole data set: uint8 images (n, channels, height, width) and int64 labels (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def cifar10(
    n_train: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    n_test: int | None = None,
    archive: str | os.PathLike | None = None,
) -> Split:
    """CIFAR-10 (Krizhevsky 2009) as uint8 images (n, 3, 32, 32), in an order drawn from ``seed``.

    Without ``archive`` and without the environment's ``COURSE_CIFAR``, the original binary release
    is downloaded (50,000 + 10,000 images, 170 MB). ``archive`` may instead name that file, or a
    zip of JPEG images laid out ``train/<class>/<image>.jpg`` and ``test/…``; JPEG is lossy, so
    results on such a set are not results on CIFAR-10: ``source`` tells the two apart and holds the
    archive's SHA-256. Training labels are flipped as in ``digits``.

    Raises ``FileNotFoundError`` without the archive, ``ValueError`` if it is neither of the two
    or damaged, or a number is out of range.
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    _require_sizes(n_train, n_test)
    is_path = archive is None or isinstance(archive, str | os.PathLike)
    require(is_path, "archive", "the path of a file", archive)

    path = Path(archive or os.environ.get("COURSE_CIFAR") or download(CIFAR10_URL, CIFAR10_SHA256))
    if not path.is_file():
        raise FileNotFoundError(f"archive (or COURSE_CIFAR) must be an existing file, got {path}")
    try:
        if zipfile.is_zipfile(path):
            name = "CIFAR-10 images, JPEG-compressed"
            images = _cifar_jpeg(path)
        elif _begins_with(path, GZIP_MAGIC):
            name = "CIFAR-10 binary release"
            images = _cifar_binary(path)
        else:
            allowed = "the binary .tar.gz or a .zip of JPEG images"
            raise ValueError(f"archive must be {allowed}, got {path.name}")
    except DAMAGED as error:
        allowed = "a whole file that can be read"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"archive must be {allowed}, got {path.name}: {reason}") from None

    source = {"name": name, "archive": path.name, "sha256": file_sha256(path)}
    return _subset(images, n_train, n_test, label_noise, seed, source)


def fashion_mnist(
    n_train: int | None = None, label_noise: float = 0.0, seed: int = 0, n_test: int | None = None
) -> Split:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), downloaded (31 MB).

    Images are uint8 (n, 1, 28, 28), 60,000 + 10,000, in an order drawn from ``seed``. Training
    labels are flipped as in ``digits``. Raises ``ConnectionError`` offline, ``ValueError`` for a
    number out of range.
    """
    label_noise = number("label_noise", label_noise, 0.0, 1.0)
    seed = integer("seed", seed, 0)
    _require_sizes(n_train, n_test)

    arrays = []
    for file, sha256 in FASHION_SHA256.items():
        path = download(FASHION_URL + file, sha256, name=f"fashion-mnist-{file}")
        raw = gzip.decompress(path.read_bytes())
        if "images" in file:
            pixels = np.frombuffer(raw, np.uint8, offset=IDX_IMAGES_HEADER)
            arrays.append(pixels.reshape(-1, 1, 28, 28))
        else:
            labels = np.frombuffer(raw, np.uint8, offset=IDX_LABELS_HEADER)
            arrays.append(labels.astype(np.int64))
    images = Images(*arrays)  # the files are listed in this order

    source = {"name": "Fashion-MNIST", "sha256": FASHION_SHA256["train-images-idx3-ubyte.gz"]}
    return _subset(images, n_train, n_test, label_noise, seed, source)


def _require_sizes(n_train: int | None, n_test: int | None) -> None:
    """What can be told before a download; the upper ends follow from the archive."""
    for name, value in (("n_train", n_train), ("n_test", n_test)):
        if value is not None:
            integer(name, value, 1)


def _subset(
    images: Images,
    n_train: int | None,
    n_test: int | None,
    label_noise: float,
    seed: int,
    source: dict[str, str],
) -> Split:
    """Shuffle both halves (archives are sorted by class), cut them, flip training labels."""
    all_train = len(images.x_train)
    all_test = len(images.x_test)
    n_train = all_train if n_train is None else integer("n_train", n_train, 1, all_train)
    n_test = all_test if n_test is None else integer("n_test", n_test, 1, all_test)

    rng = generator(seed)
    train = rng.permutation(all_train)[:n_train]  # (n_train,)
    test = rng.permutation(all_test)[:n_test]  # (n_test,)
    y_train, flipped = flip_labels(images.y_train[train], label_noise, rng)
    return Split(
        x_train=images.x_train[train],
        y_train=y_train,
        x_test=images.x_test[test],
        y_test=images.y_test[test],
        flipped=flipped,
        source=source,
    )


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


# ---- the binary release --------------------------------------------------------------------------


def _cifar_binary(archive: Path) -> Images:
    """Read the records of five training files and one test file, in the order of their names."""
    records = _batches(_unpacked(archive))
    x_train, y_train = _images_and_labels(np.concatenate([records[name] for name in CIFAR10_TRAIN]))
    x_test, y_test = _images_and_labels(records[CIFAR10_TEST])
    known = max(y_train.max(), y_test.max()) < len(CIFAR10_CLASSES)
    require(bool(known), "archive", "labels 0 to 9", archive.name)
    return Images(x_train, y_train, x_test, y_test)


def _unpacked(archive: Path) -> bytes:
    """The tar in a gzip file, read to the very end, where the checksum of its bytes stands."""
    with gzip.open(archive) as file:
        content = file.read(MAX_UNPACKED + 1)
    fits = len(content) <= MAX_UNPACKED
    require(fits, "archive", f"at most {MAX_UNPACKED} bytes when unpacked", archive.name)
    return content


def _batches(content: bytes) -> dict[str, np.ndarray]:
    """Records (n, 3073) of each file of the release, by name. ``content`` is the tar."""
    records: dict[str, np.ndarray] = {}
    allowed = f"1 to {CIFAR10_BATCH} records of {CIFAR10_RECORD} bytes"
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for member in tar:
            name = Path(member.name).name
            if not member.isfile() or name not in (*CIFAR10_TRAIN, CIFAR10_TEST):
                continue
            require(name not in records, name, "in the archive once", "twice")

            # By the header, before a byte is read.
            n, rest = divmod(member.size, CIFAR10_RECORD)
            whole = rest == 0 and 1 <= n <= CIFAR10_BATCH
            require(whole, name, allowed, f"{member.size} bytes")
            file = tar.extractfile(member)
            assert file is not None  # only a folder or a link has none
            records[name] = np.frombuffer(file.read(), np.uint8).reshape(n, CIFAR10_RECORD)

    complete = len(records) == len(CIFAR10_TRAIN) + 1
    needed = "one with data_batch_1..5.bin and test_batch.bin"
    require(complete, "archive", needed, sorted(records))
    return records


def _images_and_labels(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split records (n, 3073) into images (n, 3, 32, 32) and labels (n,)."""
    labels = records[:, 0].astype(np.int64)
    images = records[:, 1:].reshape(-1, 3, 32, 32)
    return images, labels


# ---- a zip of JPEG images ------------------------------------------------------------------------


def _cifar_jpeg(archive: Path) -> Images:
    """Decode ``train/<class>/*.jpg`` and ``test/<class>/*.jpg``."""
    halves: dict[str, list[zipfile.ZipInfo]] = {"train": [], "test": []}
    with zipfile.ZipFile(archive) as pack:
        _require_all_entries(pack, archive)
        for entry in sorted(pack.infolist(), key=lambda entry: entry.filename):
            # A file's name stands twice in a zip, and opening compares the two: a damaged one must
            # not drop an image.
            pack.open(entry).close()
            parts = Path(entry.filename).parts
            is_jpeg = entry.filename.lower().endswith((".jpg", ".jpeg"))
            if is_jpeg and len(parts) == 3 and parts[0] in halves:
                halves[parts[0]].append(entry)
        x_train, y_train = _jpeg_half(pack, "train", halves["train"])
        x_test, y_test = _jpeg_half(pack, "test", halves["test"])
    return Images(x_train, y_train, x_test, y_test)


def _require_all_entries(pack: zipfile.ZipFile, archive: Path) -> None:
    """Raise ``ValueError`` where the directory at the archive's end lists fewer files than it says.

    A damaged length in it can swallow the entry that follows, and zipfile does not count.
    """
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - ZIP_END_LONGEST))
        tail = file.read()
    end = tail[tail.rindex(ZIP_END) :]
    told = int.from_bytes(end[ZIP_END_COUNT], "little")
    found = len(pack.infolist())
    # The largest number that two bytes can count stands for larger ones as well.
    complete = found == told or (told == ZIP_END_MANY and found > told)
    require(complete, "archive", f"a zip that lists its {told} entries", found)


def _jpeg_half(
    pack: zipfile.ZipFile, half: str, entries: list[zipfile.ZipInfo]
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of one half of the archive."""
    names = [Path(entry.filename).parts[1] for entry in entries]  # the class of each
    complete = set(names) == set(CIFAR10_CLASSES)
    require(complete, f"{half}/ in archive", "CIFAR-10's ten classes", set(names))

    images = np.empty((len(entries), 3, 32, 32), np.uint8)
    for i, entry in enumerate(entries):
        pixels = _pixels(_content(pack, entry), repr(entry.filename))  # (32, 32, 3)
        images[i] = pixels.transpose(2, 0, 1)  # (3, 32, 32)
    labels = np.array([CIFAR10_CLASSES.index(name) for name in names], np.int64)
    return images, labels


def _content(pack: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of one file, read to the end, because only there its checksum is compared."""
    # The other methods cannot unpack a part: they have no limit.
    known = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    require(known, repr(entry.filename), "packed with deflate or stored", entry.compress_type)
    with pack.open(entry) as file:
        content = file.read(MAX_JPEG + 1)
    fits = len(content) <= MAX_JPEG
    require(fits, repr(entry.filename), f"an image of at most {MAX_JPEG} bytes", entry.file_size)
    return content


def _pixels(content: bytes, name: str) -> np.ndarray:
    """Decode one JPEG file of 32×32 pixels: (32, 32, 3)."""
    from PIL import Image  # comes with matplotlib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused here by its size
        try:
            image = Image.open(io.BytesIO(content), formats=["JPEG"])  # reads no more than the head
        except Image.DecompressionBombError as error:
            raise ValueError(f"{name} must be 32×32 pixels, got more: {error}") from None
    with image:
        require(image.size == (32, 32), name, "32×32 pixels", image.size)
        return np.asarray(image.convert("RGB"))
