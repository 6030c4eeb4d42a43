"""Where models are computed."""

import torch

from grokhop.core.errors import InputError


def device_of(name: str = "auto") -> torch.device:
    """Return the device called `name`: cpu, cuda, mps, or 'auto' for cuda where there is one, else the cpu.

    Raises:
        InputError: this machine, or this build of torch, has no such device.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there.get(name):
        found = ", ".join(device for device, is_there in there.items() if is_there)
        raise InputError(f"--device {name}: torch finds no such device here: choose auto or {found}")
    return torch.device(name)
