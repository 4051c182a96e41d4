#!/usr/bin/env python3
"""Writes tests/golden/torch: small files of torch.save, and the tensors that they hold as safetensors.

  python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r tools/requirements.txt
  /tmp/venv/bin/python tools/make_torch_goldens.py

The bytes differ from run to run of another version of PyTorch; what is in them does not."""
import argparse
import collections
import pathlib

import numpy
import safetensors.torch
import torch

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "torch"
TYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
         "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool}


def every_layout():
    """A state dict with every type that is read and every way a tensor can lie in its storage."""
    grid = torch.arange(24, dtype=torch.float32).view(4, 6)
    tensors = collections.OrderedDict((name, torch.tensor([0, 1, 3, 100]).to(kind)) for name, kind in TYPES.items())
    tensors |= {
        "scalar": torch.tensor(2.5), "empty": torch.empty(0, 3), "whole": grid, "same": grid, "rows": grid[1:3],
        "transposed": grid.t(), "columns": grid[:, 1:5:2], "element": grid[2, 3], "expanded": torch.tensor([[7.0], [8.0]]).expand(2, 5),
        "parameter": torch.nn.Parameter(torch.tensor([1.0, -1.0])), "permuted": torch.arange(24.0).view(2, 3, 4).permute(2, 0, 1),
        "rank5": torch.arange(4.0).view(1, 2, 1, 2, 1),
    }
    tensors["attributed"] = torch.tensor([5.0])
    tensors["attributed"].note = "tensors with attributes are written by another function"
    return tensors


def training_checkpoint():
    """What a training script keeps: a module wrapped for several devices, its optimizer, arguments and numbers."""
    torch.manual_seed(7)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3, "best_loss": torch.tensor(0.25), "big": 2**70, "lr": 0.1, "done": False, "rng": torch.get_rng_state()[:16].clone(),
        "model_state_dict": torch.nn.DataParallel(module).state_dict(), "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(dtype=torch.bfloat16, device=torch.device("cpu"), out=pathlib.PosixPath("runs/x"), size=torch.Size([2, 3])),
        "score": numpy.float64(0.5), "array": numpy.arange(3), "seen": {1, 2}, "raw": b"\x00\xff", "count": collections.Counter("aab"),
    }


def put(name, value, **options):
    torch.save(value, GOLDEN / name, **options)


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    layouts = every_layout()
    put("layouts.pt", layouts)
    put("protocol4.pt", layouts, pickle_protocol=4)
    safetensors.torch.save_file({k: v.detach().clone().contiguous() for k, v in layouts.items()}, GOLDEN / "layouts.safetensors")
    checkpoint = training_checkpoint()
    for protocol in (1, 2, 5):
        put(f"checkpoint-protocol{protocol}.pt", checkpoint, pickle_protocol=protocol)
    weights = {k.removeprefix("module."): v.clone() for k, v in checkpoint["model_state_dict"].items()}
    safetensors.torch.save_file(weights, GOLDEN / "checkpoint.safetensors")
    small = {"w": torch.tensor([1.0, 2.0])}
    put("legacy.pt", small, _use_new_zipfile_serialization=False)
    put("module.pt", torch.nn.Linear(1, 1))
    put("tensor.pt", torch.ones(2))
    put("sparse.pt", {"w": torch.eye(2).to_sparse()})
    put("complex.pt", {"w": torch.ones(1, dtype=torch.complex64)})
    put("float8.pt", {"w": torch.ones(1).to(torch.float8_e4m3fn)})
    torch.serialization.set_crc32_options(False)
    put("no-crc.pt", small)


if __name__ == "__main__":
    main()
