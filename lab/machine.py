"""The machine that a script runs on: its devices, and what a log says of it."""

import argparse
import os
import platform
import re
from pathlib import Path

import torch


def device(text):
    """A type of argument: a device of this machine. "auto" is the accelerator, if there is one."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    best = accelerator.type if accelerator else "cpu"
    name = best if text == "auto" else text
    kind, colon, index = name.partition(":")
    if kind not in (best, "cpu") or (colon and not re.fullmatch("[0-9]+", index)):
        raise argparse.ArgumentTypeError(f"{text}: not available here")
    count = 1 if kind == "cpu" else torch.accelerator.device_count()
    if colon and int(index) >= count:
        there = f"{kind}:0" + f" to {kind}:{count - 1}" * (count > 1)
        raise argparse.ArgumentTypeError(f"{text}: not available here; there is {there}")
    if kind == "cpu":
        return kind
    try:
        torch.ones(1, device=name).add(1).item()
    except RuntimeError as error:  # an old driver, or a card that this torch has no kernels for
        cause = str(error).partition("\n")[0]
        raise argparse.ArgumentTypeError(f"{name}: torch {torch.__version__} cannot use it "
                                         f"({cause}); --device cpu works") from None
    return name


def environment(device):
    """The machine and the versions that a run is trained with, as its log holds them."""
    cpuinfo = Path("/proc/cpuinfo")
    cpuinfo = cpuinfo.read_text("utf-8") if cpuinfo.exists() else ""
    names = re.findall(r"model name\s*: (.+)", cpuinfo)
    # CPUs of one name may differ in the instructions that torch uses, and so in rounding.
    instructions = torch.backends.cpu.get_cpu_capability()
    name_of = getattr(torch.get_device_module(device), "get_device_name", None)  # of CUDA and XPU
    return {
        "torch": str(torch.__version__),  # a TorchVersion would not load with weights_only
        "python": platform.python_version(),
        "device": name_of(device) if name_of else device,  # as "NVIDIA H100 80GB HBM3", or "cpu"
        "cpu": f"{names[0] if names else platform.processor()} ({instructions})",
        "threads": torch.get_num_threads(),
    }


def is_busy():
    """Whether others want this machine's cores, too: more than these threads alone account for.

    Threads that wait for each other then take many times as long as one.
    """
    return torch.get_num_threads() > 1 and hasattr(os, "getloadavg") and (  # Windows has none
        os.getloadavg()[0] > 1.5 * os.cpu_count())


def emulates_bf16(device):
    """Whether `device` is a CPU without instructions for bfloat16, where it is slow."""
    return device == "cpu" and not (
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
