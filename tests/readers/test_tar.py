"""readers/tar.py with files broken in every way."""

import gzip
import tarfile

import pytest
from conftest import filling_no_memory, tar_bytes, write_files
from six_digits import (
    DIGITS,
    GOOD,
    PICTURES,
    PNG,
    PNGS,
    TAR,
    TGZ,
    assert_equal,
    check_bad_files,
    fault,
    flip,
    png_of,
    read_both,
)


def sparse_tar(holes):
    """A tar that begins with a map of holes where the content belongs: their number, then each."""
    entry = tarfile.TarInfo("0_5.png")
    entry.size = len(holes)
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                         "GNU.sparse.name": "0_5.png", "GNU.sparse.realsize": "0"}
    return entry.tobuf(tarfile.PAX_FORMAT) + holes


# (a folder of six_digits.GOOD, the files that are changed in it, words in the message)
BAD = [
    ("tar", {"train.tar": b""}, "train.tar: cannot be read: "),
    ("tar", {"train.tar": b"not a tar" * 200}, "train.tar: cannot be read: "),
    ("tar", {"train.tar": tar_bytes({})}, "train.tar: 0 images, expected 1"),
    ("tar", {"train.tar": TAR[:700]}, "train.tar"),  # inside a picture
    ("tar", {"train.tar": TAR[:1024]}, "train.tar: truncated or damaged"),  # between two
    ("tar", {"train.tar": TAR[:1200]}, "train.tar: truncated or damaged"),  # in a header
    ("tar", {"train.tar": flip(TAR, 1024)}, "train.tar: truncated or damaged"),  # in a name
    ("tgz", {"test.tar.gz": TGZ[:-100]}, "test.tar.gz: "),  # inside a picture
    ("tgz", {"test.tar.gz": TGZ[:-4]}, "test.tar.gz: cannot be read: "),  # after them
    ("tgz", {"test.tar.gz": flip(TGZ, -8)}, "test.tar.gz: cannot be read: CRC"),
    ("tar", {"test.tgz": TGZ}, "has test.tar and test.tgz; move all but one of these to another"),
    ("tar", {"test.tar": tar_bytes({"test/5/a.png": PNG, "test/1_5.png": PNG})},
     "test.tar: test/1_5.png: beside class folders"),
    ("tar", {"test.tar": tar_bytes({"test/10/a.png": PNG})}, "test/10/a.png: neither a picture"),
    ("tar", {"test.tar": None}, "test.tar: missing, though other parts are there"),
    ("tar", {"test.tar": tar_bytes({"/0_5.png": PNG})}, "test.tar: /0_5.png: a name that"),
    ("tar", {"test.tar": tar_bytes({"a/../../0_5.png": PNG})}, "/0_5.png: a name that leads out"),
    ("tar", {"test.tar": tar_bytes({"0_5.png": tarfile.SYMTYPE})}, "test.tar: 0 images, expected"),
    ("tar", {"test.tar": tar_bytes({"0_5.png": tarfile.LNKTYPE})}, "test.tar: 0 images, expected"),
    ("tar", {"test.tar": tar_bytes({"a/five.png": PNG})}, "test.tar: a/five.png: neither"),
    ("tar", {"test.tar": tar_bytes({"a\n/five.png": PNG})}, "/five.png: neither"),
    ("tar", {"test.tar": tar_bytes({"a/0_10.png": PNG})}, "test.tar: a/0_10.png: label 10"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": PNG, "b/0_5.png": PNG})}, "b/0_5.png: a second"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": b"junk"})}, "a/0_5.png: not a readable picture"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": png_of(32, 32)})}, "a/0_5.png: 32x32 pixels"),
    ("tar", {"test.tar": sparse_tar(b"one\n" + bytes(508))}, "test.tar: cannot be read: invalid"),
    ("tar", {"test.tar": tar_bytes({"a/0_5.png": bytes(1_000_001)})}, "0_5.png: 1,000,001 bytes"),
]


@pytest.mark.parametrize(("good", "changed", "words"), BAD,
                         ids=lambda value: value if isinstance(value, str) else next(iter(value)))
def test_bad_tars_end_in_one_line_that_names_the_file(good, changed, words, tmp_path):
    check_bad_files(good, changed, words, tmp_path)


def test_a_small_archive_that_unpacks_to_much_fills_no_memory(tmp_path):
    """Such as a member whose name is a line of millions of letters, which tarfile reads at once."""
    entry = tarfile.TarInfo("a" * 2**25)
    bomb = gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + TAR)
    write_files(tmp_path, GOOD["tgz"] | {"train.tar.gz": bomb})
    with filling_no_memory(2**24):
        assert "train.tar.gz: unpacks to more than 30 times its size" in fault(tmp_path)


def test_a_sparse_file_is_a_file(tmp_path):
    """As `tar --sparse` writes it: a map of what is no hole, then that. It was passed over."""
    entry = tarfile.TarInfo("5_2.png")
    entry.size = 512 + len(PNGS["train/5_2.png"])
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                         "GNU.sparse.name": "5_2.png", "GNU.sparse.realsize": str(entry.size - 512)}
    content = f"1\n0\n{entry.size - 512}\n".encode().ljust(512, b"\0") + PNGS["train/5_2.png"]
    sparse = entry.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)
    others = tar_bytes({name: png for name, png in PNGS.items() if "5_2" not in name})
    write_files(tmp_path, {"train.tar": sparse + others, "test.tar": TAR})
    assert_equal(read_both(tmp_path), dict.fromkeys(("train", "test"), (PICTURES, DIGITS)))
