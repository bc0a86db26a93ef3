"""utils.files: a file is written whole or not at all, whatever goes wrong on the way."""

import errno
import os
import threading

import pytest

from utils import files
from utils.files import replacing, write_text, write_whole


def names(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def old(tmp_path):
    """A file that stands there before."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


def test_the_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"  # folders that are missing are made
    with replacing(path) as file:
        file.write(b"half")
        assert not path.exists()
        assert len(names(path.parent)) == 1
    assert path.read_bytes() == b"half"
    assert names(path.parent) == ["a.txt"]


def test_parts_are_written_one_after_the_other_and_text_in_utf8(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, b"ab", memoryview(b"cd"), bytearray(b"ef"))
    assert path.read_bytes() == b"abcdef"
    write_text(path, "naïve\n")
    assert path.read_bytes() == b"na\xc3\xafve\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, full_disk):
    with pytest.raises(OSError, match=r"^could not write a.txt: .*No space left") as error:
        write_whole(tmp_path / "a.txt", b"new")
    assert "\n" not in str(error.value)
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(old, full_disk):
    line = r"^could not write a.txt \(the previous file is untouched\): .*No space left"
    with pytest.raises(OSError, match=line):
        write_whole(old, b"new")
    assert old.read_text() == "old"
    assert names(old.parent) == ["a.txt"]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_each_last_step_may_fail(old, monkeypatch, step):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, step, fail)
        with pytest.raises(OSError, match=r"^could not write a.txt .*Input/output error"):
            write_whole(old, b"new")
    assert old.read_text() == "old"
    assert names(old.parent) == ["a.txt"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_error_inside_the_block_passes_through_and_leaves_nothing_behind(old, kind):
    def stop() -> None:
        with replacing(old) as file:
            file.write(b"half")
            raise kind("stopped")

    with pytest.raises(kind, match="^stopped$"):
        stop()
    assert old.read_text() == "old"
    assert names(old.parent) == ["a.txt"]


def test_two_writers_never_share_a_part(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as first:
        first.write(b"first ")
        with replacing(path) as second:
            second.write(b"second ")
            first.write(b"writer")
            second.write(b"writer")
        assert path.read_bytes() == b"second writer"
    assert path.read_bytes() == b"first writer"
    assert names(tmp_path) == ["a.txt"]


def test_a_reader_sees_whole_files_only_while_two_write(tmp_path):
    path = tmp_path / "a.bin"
    contents = [bytes([i]) * 50_000 for i in range(2)]
    write_whole(path, contents[0])

    def write(content: bytes) -> None:
        for _ in range(30):
            write_whole(path, content)

    mask = os.umask(0o022)
    os.umask(mask)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    for writer in writers:
        writer.join()
    assert names(tmp_path) == ["a.bin"]
    assert os.umask(mask) == mask  # neither has left the other's mask behind


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    path = tmp_path / "a.txt"
    before = os.umask(mask)
    try:
        write_whole(path, b"new")
        assert os.umask(mask) == mask  # and it is left as it was
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


def test_a_folder_of_that_name_is_one_line(tmp_path):
    (tmp_path / "a.txt" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="^could not write a.txt: ") as error:
        write_whole(tmp_path / "a.txt", b"new")
    assert "\n" not in str(error.value)
    assert names(tmp_path) == ["a.txt"]
    assert names(tmp_path / "a.txt") == ["inside"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "b" / "a"):
        with pytest.raises(OSError, match="^could not write a: .*file is no folder$"):
            write_whole(path, b"")
