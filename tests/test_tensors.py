"""utils.tensors: a safetensors file that is streamed, whole or absent, and proven when read."""

import hashlib
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from utils.runtime import generator, repo_root
from utils.tensors import NAMES, read_header, write_tensors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def some_tensors() -> dict[str, torch.Tensor]:
    chance = generator(0, "torch")
    tensors = {}
    for dtype, name in NAMES.items():
        tensors[name] = torch.randint(0, 2, (3,), generator=chance).to(dtype)
    return tensors | {
        "matrix": torch.randn(3, 5, generator=chance),
        "transposed": torch.randn(3, 5, generator=chance).T,  # not in one piece
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "ünïcode": torch.ones(1),
    }


def test_the_library_reads_what_we_write(path):
    tensors = some_tensors()
    write_tensors(path, tensors, {"step": "7", "naïve": "texte"})
    back = load_file(path)
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    header = read_header(path)
    assert header.metadata == {"step": "7", "naïve": "texte"}
    with safe_open(path, "pt") as file:
        assert file.metadata() == header.metadata | {"sha256": header.sha256}
        for name, layout in header.layouts.items():
            assert layout.shape == tuple(tensors[name].shape)
            assert layout.dtype == file.get_slice(name).get_dtype()


def test_the_bytes_are_the_librarys_but_for_the_header(path):
    """And each tensor begins at a multiple of its numbers' size, where the header says."""
    tensors = {"b": torch.arange(3).half(), "a": torch.arange(5), "c": torch.arange(2.0)}
    write_tensors(path, tensors, {})
    ours, theirs = path.read_bytes(), save(tensors)
    n_bytes = sum(t.numel() * t.element_size() for t in tensors.values())
    assert ours[-n_bytes:] == theirs[-n_bytes:]
    for name, start in read_header(path).starts.items():
        size = tensors[name].element_size()
        assert start % size == 0
        assert ours[start : start + size] == tensors[name][:1].numpy().tobytes()


def test_a_flipped_bit_in_any_byte_is_found(path):
    write_tensors(path, {"w": torch.arange(4.0), "v": torch.ones(2).bfloat16()}, {"step": "7"})
    good = path.read_bytes()
    path.write_bytes(good.replace(b"} ", b"}\t"))  # between the header and the tensors
    with pytest.raises(ValueError, match="it is damaged"):
        read_header(path)
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8  # every bit has its turn
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="^run.safetensors is not a readable") as error:
            read_header(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_a_file_that_is_cut_off_is_refused(path, keep):
    write_tensors(path, {"w": torch.arange(40.0)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ValueError, match="^run.safetensors is not a readable checkpoint: "
    ) as error:
        read_header(path, "checkpoint")
    assert "\n" not in str(error.value)


def test_a_file_without_a_hash_is_taken_only_where_that_is_allowed(path):
    save_file({"w": torch.ones(2)}, path, {"format": "pt"})
    header = read_header(path, hashed=False)
    assert header.sha256 is None
    assert header.metadata == {"format": "pt"}
    with pytest.raises(ValueError, match="it was written by another program, without a sha256"):
        read_header(path)
    with pytest.raises(FileNotFoundError):
        read_header(path.with_name("none"))


def test_the_hash_can_be_recomputed_in_a_line(path):
    """As the module's documentation tells it: with zeros in its place."""
    write_tensors(path, some_tensors(), {"step": "7"})
    told = read_header(path).sha256
    assert told is not None
    without = path.read_bytes().replace(told.encode(), b"0" * 64)
    assert hashlib.sha256(without).hexdigest() == told


def test_a_full_disk_is_one_line_and_leaves_nothing(path, full_disk):
    with pytest.raises(
        OSError, match=r"^could not write run.safetensors: .*No space left"
    ) as error:
        write_tensors(path, {"w": torch.zeros(10)}, {})
    assert "\n" not in str(error.value)
    assert list(path.parent.iterdir()) == []


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from utils.tensors import read_header, write_tensors
path = Path(sys.argv[1])
tensors = {str(i): torch.ones(1024, 1024) for i in range(32)}  # 128 MiB
tensors["one"] = torch.ones(8192, 4096).T  # 128 MiB, not in one piece
write_tensors(path, {"w": torch.ones(2)}, {})
read_header(path)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_tensors(path, tensors, {})
read_header(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before)
"""


def test_saving_and_proving_take_no_memory_of_their_own(path):
    """The peak of the process, which held a second copy of everything while it saved."""
    answer = subprocess.run(
        [sys.executable, "-c", MEMORY, path],
        cwd=repo_root(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(answer.stdout) < 1.05
