"""Devices, simulated, and what a log says of the machine.

    python -m pytest tests/lab/test_machine.py
"""

import argparse
import os

import pytest
import torch

import main
from lab import machine


@pytest.fixture
def two_cards(monkeypatch):
    """A machine with two GPUs, simulated: what is made on one of them is made on the CPU."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator",
                        lambda check_available: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    made, ones = [], torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: made.append(device) or ones(size))
    return made


@pytest.mark.parametrize(("text", "device"), [
    ("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"),
    ("cpu", "cpu"), ("cpu:0", "cpu")])
def test_a_device_by_its_index(two_cards, text, device):
    assert machine.device(text) == device
    assert two_cards == [device] * (device != "cpu")  # it is tried


@pytest.mark.parametrize("text", ["mps", "mps:0", "xpu:0", "cuda:x", "cuda:-1", "cuda:1:1", "cuda:",
                                  "cuda1", "", "cuda:\u0661"])
def test_a_device_that_is_not_here(two_cards, text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text}: not available here$"):
        machine.device(text)
    assert not two_cards


@pytest.mark.parametrize(("text", "words"), [
    ("cuda:2", "cuda:2: not available here; there is cuda:0 to cuda:1"),
    ("cpu:1", "cpu:1: not available here; there is cpu:0")])
def test_an_index_too_high_says_how_many_there_are(two_cards, text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{words}$"):
        machine.device(text)


def test_a_card_that_torch_has_no_kernels_for(two_cards, monkeypatch, capsys):
    def fail(size, device):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\n"
                           "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.")

    monkeypatch.setattr(torch, "ones", fail)
    assert main.main(["--epochs", "1"]) == 2
    assert capsys.readouterr().err == (
        f"main.py: error: argument --device: cuda: torch {torch.__version__} cannot use it (CUDA "
        "error: no kernel image is available for execution on the device); --device cpu works\n")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_the_log_names_the_card(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    assert machine.environment(device)["device"] == f"card of {device}"
    assert machine.environment("cpu")["device"] == "cpu"


@pytest.mark.parametrize(("device", "available", "supported", "emulates"), [
    ("cpu", True, True, False), ("cpu", True, False, True), ("cpu", False, True, True),
    ("cuda", True, False, False)])
def test_bfloat16_is_emulated_by_a_cpu_without_instructions_for_it(
        monkeypatch, device, available, supported, emulates):
    """Simulated, whatever this CPU can do."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: available)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    assert machine.emulates_bf16(device) == emulates


def test_the_log_tells_torchs_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert machine.environment("cpu")["threads"] == 7


@pytest.mark.parametrize(("threads", "load", "busy"), [
    (4, 4.0, False), (4, 6.1, True), (1, 9.0, False), (2, 5.9, False)])
def test_a_machine_is_busy_if_others_want_its_cores(monkeypatch, threads, load, busy):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    assert machine.is_busy() == busy


def test_where_no_load_is_told_none_is_busy(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.delattr(os, "getloadavg")
    assert not machine.is_busy()
