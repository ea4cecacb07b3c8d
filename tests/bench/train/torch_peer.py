#!/usr/bin/env python3
"""The model of `relata bench train --dump FOLDER` in PyTorch: the same weights, states and masks, one step after another.

usage: torch_peer.py FOLDER [--steps 2] [--threads 2] [--attention sdpa|flex] [--device cpu] [--dtype float32]

Prints one JSON object: tokens a second of the median step after the first, the first loss, and what a step took.
"""
import argparse
import json
import math
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--steps", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--attention", choices=["sdpa", "flex"], default="sdpa")
parser.add_argument("--device", default="cpu")
parser.add_argument("--dtype", default="float32")
options = parser.parse_args()
torch.set_num_threads(options.threads)
settings = json.loads((options.folder / "batch.json").read_text())
B, T, D, H = (settings[name] for name in ("contexts", "tokens", "width", "heads"))
device, dtype = torch.device(options.device), getattr(torch, options.dtype)


def numbers(name, kind, *shape):
    return torch.from_numpy(np.fromfile(options.folder / name, dtype=kind).reshape(shape)).to(device)


def weights():
    """A .safetensors file's tensors by name."""
    data = (options.folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = about["data_offsets"]
            found = np.frombuffer(data[8 + length + start : 8 + length + end], dtype="<f4").reshape(about["shape"])
            tensors[name] = torch.from_numpy(found.copy()).to(device, dtype)
    return tensors


def masks():
    """Which tokens see which, by kind of attention: [contexts, 1, tokens, tokens]."""
    row, column = numbers("row.i32", "<i4", B, T), numbers("column.i32", "<i4", B, T)
    parents = numbers("parents.i32", "<i4", B, T, 2)
    is_parent = (parents[:, :, None, :] == row[:, None, :, None]).any(-1)  # [contexts, child, parent]
    found = {
        "column": column[:, :, None] == column[:, None, :],
        "row": (row[:, :, None] == row[:, None, :]) | is_parent,
        "neighbour": is_parent.transpose(1, 2),
        "full": torch.ones(B, T, T, dtype=torch.bool, device=device),
    }
    return {kind: found[kind][:, None].contiguous() for kind in set(settings["attention"])}


if options.attention == "flex":
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    flex_attention = torch.compile(flex_attention)


class Attention(nn.Module):
    def __init__(self, given, name):
        super().__init__()
        # Relata's weights are [inputs, outputs].
        self.project = nn.ParameterList(given[f"{name}.{part}.weight"] for part in ("query", "key", "value", "output"))
        self.gamma = nn.Parameter(given[f"{name}.norm.gamma"])

    def forward(self, x, mask):
        normed = F.rms_norm(x, (D,), self.gamma, settings["epsilon"])
        q, k, v = ((normed @ weight).view(B, T, H, D // H).transpose(1, 2) for weight in self.project[:3])
        if options.attention == "flex":
            seen = flex_attention(q, k, v, block_mask=mask)
        else:
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return x + seen.transpose(1, 2).reshape(B, T, D) @ self.project[3]


class FeedForward(nn.Module):
    def __init__(self, given, name):
        super().__init__()
        self.gate, self.up, self.down = (nn.Parameter(given[f"{name}.{part}.weight"]) for part in ("gate", "up", "down"))
        self.gamma = nn.Parameter(given[f"{name}.norm.gamma"])

    def forward(self, x):
        normed = F.rms_norm(x, (D,), self.gamma, settings["epsilon"])
        return x + (F.silu(normed @ self.gate) * (normed @ self.up)) @ self.down


class Model(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.blocks = nn.ModuleList()
        for block in range(settings["blocks"]):
            layers = [Attention(given, f"blocks.{block}.attention.{at}") for at in range(len(settings["attention"]))]
            self.blocks.append(nn.ModuleList([*layers, FeedForward(given, f"blocks.{block}.feed_forward")]))
        self.gamma = nn.Parameter(given["norm.gamma"])

    def forward(self, x, seen):
        for *attention, feed_forward in self.blocks:
            for layer, mask in zip(attention, seen):
                x = layer(x, mask)
            x = feed_forward(x)
        return F.rms_norm(x, (D,), self.gamma, settings["epsilon"])


def main():
    model = Model(weights())
    found = masks()
    if options.attention == "flex":
        found = {
            kind: create_block_mask(lambda b, h, q, k, mask=mask[:, 0]: mask[b, q, k], B, None, T, T, device=device)
            for kind, mask in found.items()
        }
    seen = [found[kind] for kind in settings["attention"]]
    # As the embedding gets its gradient, so do the states.
    states = numbers("states.f32", "<f4", B, T, D).to(dtype).requires_grad_()
    target = numbers("target.f32", "<f4", B, T, D).to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    taken, first = [], math.nan
    for step in range(options.steps + 1):
        wait()
        begun = time.perf_counter()
        loss = (model(states, seen).float() * target.float()).mean()
        value = loss.item()
        forward = time.perf_counter()
        loss.backward()
        wait()
        backward = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        states.grad = None
        wait()
        end = time.perf_counter()
        if step == 0:
            first = value
        else:
            taken.append((end - begun, forward - begun, backward - forward, end - backward))
    seconds, forward, backward, rest = sorted(taken)[len(taken) // 2]
    print(json.dumps({
        "torch": torch.__version__, "attention": options.attention, "tokens_per_second": B * T / seconds, "seconds": seconds,
        "forward_seconds": forward, "backward_seconds": backward, "optimizer_seconds": rest, "loss": first,
    }))


main()
