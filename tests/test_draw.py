"""draw.py as a command; the page and its server are tested in tests/lab/page/."""

import re

import pytest

import draw


@pytest.mark.parametrize("argv", [["--port", "x"], ["--port", "65536"], ["--port", "-1"], ["7"]])
def test_usage(argv, capsys):
    assert draw.main(argv) == 2
    assert re.fullmatch(r"draw\.py: error: .+\n", capsys.readouterr().err)


def test_bad_weights_are_one_line(tmp_path, capsys):
    (tmp_path / "bad.pt").write_bytes(b"junk")
    for name in ("bad.pt", "none.pt"):
        assert draw.main(["--no-browser", "--weights", str(tmp_path / name)]) == 1
        assert re.fullmatch(rf"draw\.py: .*{name}: .+\n", capsys.readouterr().err)
