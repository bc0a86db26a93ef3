"""utils.files: a file is written whole or not at all, by one process at a time."""

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from utils import files
from utils.files import locked, replacing, write_text, write_whole
from utils.runtime import repo_root


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


# ---- locks ---------------------------------------------------------------------------------------


HOLDER = """
import sys, time
from pathlib import Path
from utils.files import locked, replacing
path = Path(sys.argv[1])
with locked(path), replacing(path) as file:
    file.write(b"half")
    print("held", flush=True)
    time.sleep(60)
"""
COUNTER = """
import sys
from pathlib import Path
from utils.files import locked
path = Path(sys.argv[1])
for _ in range(20):
    with locked(path, wait=True):
        path.write_text(str(int(path.read_text()) + 1))
"""


def python(code: str, path) -> subprocess.Popen:
    arguments = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(arguments, cwd=repo_root(), stdout=subprocess.PIPE)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``a.txt`` and is writing it."""
    process = python(HOLDER, tmp_path / "a.txt")
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_file_that_another_process_holds_is_refused_by_its_number(tmp_path, holder):
    line = rf"^a.txt is in use by process {holder.pid}: wait for it, or take another name$"
    with pytest.raises(BlockingIOError, match=line), locked(tmp_path / "a.txt"):
        pass


def test_a_killed_process_holds_nothing_and_leaves_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert len(names(tmp_path)) == 2  # its lock and what it had half written
    with locked(tmp_path / "a.txt"):
        assert names(tmp_path) == ["a.txt.lock"]
    assert names(tmp_path) == []


def test_one_may_wait_for_it_and_is_told_so_once(tmp_path, holder, capsys, monkeypatch):
    monkeypatch.setattr(files, "PAUSE", 0.01)
    threading.Timer(0.1, holder.kill).start()
    with locked(tmp_path / "a.txt", wait=True):
        pass
    line = f"a.txt is in use by process {holder.pid}: waiting for it\n"
    assert capsys.readouterr().err == line


def test_those_who_wait_go_one_after_the_other(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    processes = [python(COUNTER, path) for _ in range(4)]
    for process in processes:
        process.communicate()
    assert path.read_text() == "80"
    assert names(tmp_path) == ["count"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    line = r"^could not write a.txt: .*file is no folder$"
    with pytest.raises(OSError, match=line), locked(tmp_path / "file" / "a.txt"):
        pass


def test_a_file_system_without_locks_is_no_reason_to_stop(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with locked(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_an_error_of_the_lock_itself_is_one_line(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", broken)
    with (
        pytest.raises(OSError, match="^could not write a.txt: .*error"),
        locked(tmp_path / "a.txt"),
    ):
        pass


def test_a_lock_that_was_lost_is_noticed_and_its_folder_left_alone(tmp_path):
    """As when its folder is moved, and another process begins at the old name."""
    folder = tmp_path / "runs"
    with locked(folder / "a.txt") as require_held:
        require_held()
        folder.rename(tmp_path / "old")
        with pytest.raises(OSError, match="^could not write a.txt: its folder was moved"):
            require_held()
        with locked(folder / "a.txt") as second:
            with pytest.raises(OSError, match="^could not write a.txt: its folder was moved"):
                require_held()
            second()
    assert names(folder) == []


def test_another_files_part_is_left_alone(tmp_path):
    with replacing(tmp_path / "run.safetensors") as file:
        for name in ("run", "run.safe", "run.safetensor"):
            with locked(tmp_path / name):
                pass
        file.write(b"whole")
    assert names(tmp_path) == ["run.safetensors"]


@pytest.mark.parametrize("length", [200, 201, 242, 250, 255])
def test_the_longest_names_can_be_held_and_written(tmp_path, length):
    path = tmp_path / ("n" * length)
    with locked(path), pytest.raises(BlockingIOError), locked(path):
        pass
    write_text(path, "text")
    assert names(tmp_path) == [path.name]


def test_a_full_disk_keeps_no_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "write", full)
        with locked(tmp_path / "a.txt"):
            line = "^a.txt is in use by another process: wait for it"
            with pytest.raises(BlockingIOError, match=line), locked(tmp_path / "a.txt"):
                pass
    with locked(tmp_path / "a.txt"):
        pass


def test_a_fork_does_not_let_go_of_the_lock(tmp_path):
    path = tmp_path / "a.txt"
    with locked(path):
        code = f"""
import os
from pathlib import Path
from utils.files import locked
path = Path({str(path)!r} + "2")
with locked(path):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert path.with_name("a.txt2.lock").exists()
"""
        subprocess.run([sys.executable, "-c", code], cwd=repo_root(), check=True)


def test_a_lock_is_one_wherever_the_process_goes_and_whatever_link_it_takes(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "link.txt").symlink_to(there / "a.txt")
    monkeypatch.chdir(here)
    with locked(there / "a.txt"), pytest.raises(BlockingIOError), locked(Path("link.txt")):
        pass
    with locked(Path("a.txt")):
        monkeypatch.chdir(there)
        with locked(Path("a.txt")):
            pass
        assert names(here) == ["a.txt.lock", "link.txt"]
    assert names(here) == ["link.txt"]


def test_a_lock_that_another_user_left_is_taken_over(tmp_path, monkeypatch):
    left = tmp_path / "a.txt.lock"
    left.write_text("process 1")
    real_open = os.open

    def open_to_read_only(path, flags, *mode):
        if os.fspath(path).endswith(".lock") and flags != os.O_RDONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(path, flags, *mode)

    monkeypatch.setattr(files.os, "open", open_to_read_only)
    with locked(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []
