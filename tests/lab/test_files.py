"""Files that are written whole or not at all, also where another program holds them.

    python -m pytest tests/lab/test_files.py
"""

import errno
import os
import time

import pytest

from lab import files


@pytest.fixture
def target(tmp_path):
    """A file that has content already."""
    path = tmp_path / "run.csv"
    path.write_bytes(b"old")
    return path


def raise_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def raise_interrupt(*_):
    raise KeyboardInterrupt


def test_write_replaces_the_whole_file(target):
    files.write_atomically(target, b"new and longer")
    assert target.read_bytes() == b"new and longer"
    files.write_atomically(target, b"x")
    assert target.read_bytes() == b"x"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(("fault", "expected"), [
    (raise_full, files.RunError), (raise_interrupt, KeyboardInterrupt)])
def test_failed_write_leaves_the_old_file_and_nothing_else(
        target, monkeypatch, function, fault, expected):
    monkeypatch.setattr(os, function, fault)
    with pytest.raises(expected) as caught:
        files.write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]
    if expected is files.RunError:
        assert str(target) in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_interrupt_after_the_replacement_leaves_the_new_file(target, monkeypatch):
    replace = os.replace

    def replace_and_stop(*args):
        replace(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_and_stop)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == [target.name]


def test_content_is_on_the_disk_before_it_takes_the_name(target, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def spy_fsync(descriptor):
        fsync(descriptor)
        order.append(("fsync", os.fstat(descriptor).st_size))

    def spy_replace(source, destination):
        order.append(("replace", os.path.getsize(source)))
        assert os.path.dirname(source) == os.path.dirname(destination)  # one file system
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    files.write_atomically(target, b"12345")
    assert order[:2] == [("fsync", 5), ("replace", 5)]


def test_leftover_of_a_kill_is_overwritten(target):
    leftover = target.with_name(target.name + ".tmp")
    leftover.write_bytes(b"half of something longer")
    files.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert not leftover.exists()


def test_write_into_a_missing_folder(tmp_path):
    with pytest.raises(files.RunError, match=r"run\.csv: .*No such file"):
        files.write_atomically(tmp_path / "gone" / "run.csv", b"new")


def test_folder_is_made_with_its_parents(tmp_path):
    files.make_folder(tmp_path / "a" / "b")
    files.make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(files.RunError, match=r"file.c: "):
        files.make_folder(tmp_path / "file" / "c")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.fixture
def held(monkeypatch):
    """Makes os.replace refuse so many times, as Windows does; returns the pauses made since."""
    refusals, pauses, replace = [], [], os.replace

    def refuse(*args):
        if refusals:
            raise refusals.pop()
        replace(*args)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(time, "sleep", pauses.append)

    def hold(times):
        refusals.extend([PermissionError(13, "Access is denied")] * times)
        return pauses
    return hold


def test_a_file_that_is_read_at_the_moment_is_waited_for(tmp_path, held):
    pauses = held(3)
    files.write_atomically(tmp_path / "run.csv", b"new")
    assert (tmp_path / "run.csv").read_bytes() == b"new"
    assert 0.5 < sum(pauses) < 1
    assert os.listdir(tmp_path) == ["run.csv"]


def test_a_file_that_stays_open_is_named_and_kept(tmp_path, held):
    (tmp_path / "run.csv").write_bytes(b"old")
    held(99)
    with pytest.raises(files.RunError, match=r"run\.csv: cannot be written: Access is denied$"):
        files.write_atomically(tmp_path / "run.csv", b"new")
    assert (tmp_path / "run.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run.csv"]
