"""README.md and docs/: every command, link, anchor and figure, and how they are written."""

import argparse
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import dataset
import draw
import main
import plot
import predict
import report
from lab.training import options
from study import __main__ as study

ROOT = Path(main.__file__).parent
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (
    ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), ROOT / "benchmarks/README.md")}
README, USING = PAGES["README.md"], PAGES[str(Path("docs/using.md"))]
SCRIPTS = {"plot.py": plot, "report.py": report, "predict.py": predict, "dataset.py": dataset,
           "draw.py": draw, "study": study}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a shell makes of a block, with its loops and variables: each command of ours as a line.
RECORD = r"""
PATH= SLURM_ARRAY_TASK_ID=12 SLURM_CPUS_PER_TASK=1
pip() { :; }; source() { :; }
python3() { [ "$*" = "-m venv .venv" ]; }
python() { printf '%s ' "$@"; echo; }
set -eu
"""


def run_block(block):
    """The commands `python ...` that a block of shell runs, each as a list of words."""
    done = subprocess.run([shutil.which("bash"), "-c", RECORD + block], capture_output=True,
                          text=True, check=True)
    return [shlex.split(line) for line in done.stdout.splitlines()]


def find_commands(page):
    """The commands that a page shows: in blocks for a shell or a notebook, and in the text."""
    found = []
    for language, block in FENCE.findall(page):
        if language in ("sh", "bash"):
            found += run_block(block)
        elif "%run" in block:
            found += [shlex.split(line) for line in re.findall(r"^%run (.*)$", block, re.MULTILINE)]
    text = FENCE.sub("", page)
    found += [shlex.split(command) for command in re.findall(
        r"`(?:%run|!?python) ([\w/.-][^`]*)`", text)]
    return sorted({tuple(word for word in words if word != "-m") for words in found})


if os.name == "posix":
    COMMANDS = {page: find_commands(text) for page, text in PAGES.items()}
else:  # without a shell
    COMMANDS = {page: [] for page in PAGES}
SHOWN = sorted({command for found in COMMANDS.values() for command in found
                if command[0] != "pytest"})


@pytest.fixture
def workplace(tmp_path, monkeypatch, small_idx, digits):
    """A folder in which each command finds what it needs, and where it may write."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "logs/report", "logs/report")
    for pattern in ("lenet-seed[0-4]*", "validation/mlp-validate*", "validation/mlp-lr0.1*"):
        for path in Path("logs/report").glob(pattern):
            for name in (path.name, path.name.replace("lenet-seed", "lenet-lr0.05-seed")):
                for folder in (Path("logs"), Path("logs/mine")):
                    folder.mkdir(exist_ok=True)
                    shutil.copy(path, folder / name)
    for name in ("photo.png", "scan.jpg"):
        Image.fromarray(digits["test"][0][0]).save(name)
    shutil.copy(ROOT / "README.md", "README.md")
    shutil.copytree(ROOT / "docs", "docs")
    shutil.copytree(ROOT / "img/report", "img/report")
    return small_idx


# Commands

class ParsedError(Exception):
    """The command line has been parsed, and nothing else shall be done."""


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_the_programs_own_parser_takes_the_command(words, monkeypatch):
    script, *argv = words
    if script == "main.py":
        options.parse([*argv, "--device", "cpu"] if "--help" not in argv else [], "", main.RECIPES)
    elif script in ("plot.py", "report.py", "predict.py", "draw.py"):
        SCRIPTS[script].parse(argv)
    elif script in ("model.py", "dataset.py", "benchmarks/stroke.py"):  # these have no parser
        assert (ROOT / script).exists()
        assert len(argv) <= (script == "dataset.py")
    elif script == "study":
        assert argv == []
    else:
        parse = argparse.ArgumentParser.parse_args

        def stop(parser, argv=None, namespace=None):
            parse(parser, argv, namespace)
            raise ParsedError

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
        monkeypatch.setattr(sys, "argv", [script, *argv])
        monkeypatch.setattr(sys, "path", [str((ROOT / script).parent), *sys.path])
        with pytest.raises(ParsedError):
            runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.parametrize("words", [
    words for words in COMMANDS["README.md"] if "/" not in words[0] and words[0] != "pytest"],
    ids=" ".join)
def test_a_command_of_the_readme_runs(words, workplace, monkeypatch, capsys):
    script, *argv = words
    if script == "main.py":
        shutil.rmtree("logs")  # so that no seed counts as finished
        few = ["--epochs", "1", "--data-dir", str(workplace), "--device", "cpu"]
        assert main.main([*argv, *few, *(["--seeds", "2"] if "--seeds" in argv else [])]) == 0
    else:
        if script in ("study", "plot.py"):  # to save all figures would take half a minute
            monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())
        argv += ["--help"] if script == "draw.py" else []  # else it would serve for ever
        assert SCRIPTS[script].main(argv) == 0
    captured = capsys.readouterr()
    assert captured.out
    assert captured.err == ""


@pytest.mark.parametrize("words", [
    words for words in SHOWN if words[0] == "report.py" and "--help" not in words], ids=" ".join)
def test_a_comparison_that_is_shown_can_be_made(words, workplace, capsys):
    assert report.main(list(words[1:])) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="the blocks are for a POSIX shell")
def test_there_are_commands_to_find():
    assert {words[0] for words in SHOWN} == {
        "main.py", "model.py", "plot.py", "study", *SCRIPTS,
        *(f"benchmarks/{path.name}" for path in ROOT.glob("benchmarks/*.py"))}
    reproduce = COMMANDS[str(Path("docs/reproduce.md"))]
    assert ("main.py", "--model", "mlp_wide", "--seeds", "10", "--log-dir",
            "logs/mine") in reproduce
    assert ("main.py", "--lr", "0.1", "--seed", "2") in COMMANDS[str(Path("docs/using.md"))]
    assert ("pytest", "-n", "2") in COMMANDS["README.md"]
    assert len(reproduce) > 25


def test_the_lines_to_edit_stand_in_main_py():
    block, = (text for language, text in FENCE.findall(README) if language == "python")
    lines = (ROOT / "main.py").read_text("utf-8").splitlines()
    assert [line for line in block.splitlines() if line and line not in lines] == []


def test_python_of_the_docs(workplace):
    """The snippets that load weights, and that use the Dataset with torchvision's transforms."""
    assert main.main(["--epochs", "1", "--data-dir", str(workplace)]) == 0
    trained = next(Path("checkpoints").glob("*.pt"))
    loading, _, using = (text for language, text in FENCE.findall(USING)
                         if text.startswith("import torch"))
    shutil.copy(trained, "checkpoints/lenet-seed0.pt")
    namespace = {}
    exec(loading, namespace)
    assert sum(p.numel() for p in namespace["net"].parameters()) == 61_706
    exec(using, namespace)
    images, labels = namespace["images"], namespace["labels"]  # the last batch
    assert images.shape == (60_000 % 128, 1, 32, 32)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert images.mean() == pytest.approx(0, abs=0.3)


# Links and figures

def find_anchors(page):
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_anchors_and_figures_lead_somewhere(page):
    text = FENCE.sub("", PAGES[page])
    targets = re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", text)
    assert targets or page == "benchmarks/README.md"
    for target in map("".join, targets):
        place, _, anchor = target.partition("#")
        path = (ROOT / page).parent / place if place else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in find_anchors(path.read_text("utf-8")), target


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\((docs/[\w.-]+)", README))
    assert linked == {f"docs/{path.name}" for path in ROOT.glob("docs/*.md")}


@pytest.mark.parametrize(("heading", "page"), [
    ("Your own digits", "own-digits.md"), ("Speed", "speed.md")])
def test_measured_tables_of_the_readme_are_those_of_docs(heading, page):
    section = re.search(rf"^## {heading}\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)[1]
    figures = re.findall(r"^\|.*\| ([\d,.]+)(?: %)? \|", section, re.MULTILINE)
    assert figures
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert [figure for figure in figures if f" {figure} " not in text] == []


# Words

def find_sentences(page):
    """The sentences of a page, each as a list of words: without code, tables and headings."""
    text = re.sub(r"<!--.*?-->|!\[.*?\]\(.*?\)|<[^>]+>", "", FENCE.sub("\n", page), flags=re.DOTALL)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)  # of a link, its words
    text = re.sub(r"^(\||#).*$", "", text, flags=re.MULTILINE)
    parts = re.split(r"\n\s*\n|^- |(?<=[.!?:])[)*\"]*\s", text, flags=re.MULTILINE)
    return [words for part in parts if (words := [
        word for word in part.split() if re.search(r"\w", word)])]


def test_the_readme_is_short():
    assert len(README.split()) <= 1800


def test_sentences_of_the_readme_are_short():
    prose = README[:README.index("Code: MIT")]
    lengths = [len(words) for words in find_sentences(prose)]
    assert [" ".join(words) for words in find_sentences(prose) if len(words) > 28] == []
    assert sum(lengths) / len(lengths) <= 15


def test_every_room_of_the_house_is_in_its_list():
    rooms = README.partition("## Where everything is")[2]
    for path in [*ROOT.glob("*.py"), *ROOT.glob("lab/*/"), *ROOT.glob("docs/*.md")]:
        if path.name not in ("__pycache__", "hubconf.py"):
            assert re.search(rf"`{path.name}/?`|\(docs/{path.name}\)", rooms), path
