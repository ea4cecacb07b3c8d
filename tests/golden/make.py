#!/usr/bin/env python3
"""What PyTorch makes of three small relational transformers: their answers, losses, gradients and first ten steps.

usage: make.py FOLDER

Writes golden.safetensors into the folder; `cargo test golden` compares Relata with it. Contexts and weights are random, from a
fixed seed; the models are of torch's own layers, with a mask for every pair of tokens. Numbers are computed with 64 bits and
kept with 32, so that what differs is Relata's own rounding.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SEED = 2033
STEPS = 10
TRAIN = {"learning_rate": 0.01, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.01, "clip": 1.0}

# What each column's values are, how many categories it has, and what the values mean.
NUMBER, CATEGORY, LINK, TEXT = "number", "category", "link", 5
COLUMNS = [
    (NUMBER, 0, "number"),
    (CATEGORY, 3, "text"),
    (NUMBER, 0, "datetime"),
    ({"vector": 3}, 0, "vector"),
    (LINK, 0, "link"),
    (CATEGORY, 2, "boolean"),
    ({"vector": TEXT}, 0, "text"),
]
FIRST_CATEGORY = np.cumsum([0] + [count for _, count, _ in COLUMNS])
IDENTITIES = 7
NO_ROW = 2**32 - 1

OWN = {"width": 8, "heads": 2, "expansion": 2.0, "blocks": [["column", "row", "neighbour"], ["up", "down", "full"]]}
# As Relata's defaults are.
DEFAULTS = {"key_norm": True, "qk_norm": False, "log_scale": False, "head_scale": False, "gate": False, "epsilon": 1e-5}
MODELS = {
    "own": {**OWN, **DEFAULTS, "tokens": "identity"},
    "options": {
        **OWN, **DEFAULTS, "tokens": "identity",
        "key_norm": False, "qk_norm": True, "log_scale": True, "head_scale": True, "gate": True,
    },
    # RT-v1, but narrower and of two blocks.
    "rt": {
        **OWN, **DEFAULTS, "tokens": "typed", "text": TEXT, "key_norm": False, "epsilon": 1.1920929e-7, "expansion": 4.0,
        "blocks": [["column", "row", "neighbour", "full"]] * 2,
    },
}
SMOOTHING = {"own": 0.0, "options": 0.1, "rt": 0.0}

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def number(random):
    """In hundredths, from -2 to 2."""
    return int(random.randint(-200, 201)) / 100


def make_context(random):
    """Rows, which are nodes or edges between earlier rows, some of them of a hierarchy; their tokens; and which are read."""
    rows, tokens, reads = [], [], []
    for row in range(random.randint(9, 16)):
        start = len(tokens)
        for _ in range(random.randint(1, 4)):
            column = int(random.randint(len(COLUMNS)))
            kind, categories, _ = COLUMNS[column]
            can_be_masked = kind in (NUMBER, CATEGORY)
            state = random.choice(["missing", "masked", "masked", "shown", "shown", "shown", "shown", "shown"])
            if state == "masked" and not can_be_masked:
                state = "shown"
            token = {"row": row, "column": column, "state": state, "identity": int(random.randint(IDENTITIES))}
            if state == "shown" or (state == "masked" and random.randint(5) > 0):
                if kind == NUMBER:
                    token["number"] = number(random)
                elif kind == CATEGORY:
                    token["code"] = int(random.randint(categories))
                elif kind != LINK:
                    token["vector"] = [number(random) for _ in range(kind["vector"])]
            # Values that are shown are asked for too: that is easy, but no different.
            if state == "masked" or (state == "shown" and can_be_masked and random.randint(6) == 0):
                reads.append(len(tokens))
            tokens.append(token)
        any_row = lambda: NO_ROW if random.randint(3) == 0 else int(random.randint(row))
        is_edge = row > 0 and random.randint(3) > 0
        near = [int(random.randint(row)), any_row(), any_row(), any_row()] if is_edge else [NO_ROW] * 4
        rows.append({"tokens": [start, len(tokens)], "parents": near[:2], "upper": near[2], "lower": near[3]})
    return {"rows": rows, "tokens": tokens, "reads": reads}


def sees(context, kind, token, other):
    """Whether a token sees another: the definitions of the kinds of attention."""
    rows, tokens = context["rows"], context["tokens"]
    own, its = tokens[token]["row"], tokens[other]["row"]
    is_edge = lambda row: rows[row]["parents"] != [NO_ROW, NO_ROW]
    if kind == "full":
        return True
    if kind == "column":
        return tokens[token]["column"] == tokens[other]["column"]
    if kind == "row":
        return its == own or its in rows[own]["parents"]
    if kind == "neighbour":
        return is_edge(its) and own in rows[its]["parents"]
    near, far = ("lower", "upper") if kind == "up" else ("upper", "lower")
    if is_edge(own):
        return its == rows[own][far]
    edges = [row for row in range(len(rows)) if is_edge(row) and rows[row][near] == own]
    return its in edges or its in [rows[edge][far] for edge in edges]


def masks(context, kinds):
    """By kind, who sees whom: [tokens, tokens]."""
    every = range(len(context["tokens"]))
    return {kind: torch.tensor([[sees(context, kind, one, other) for other in every] for one in every]) for kind in kinds}


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, self.heads, self.config = config["width"], config["heads"], config
        self.norm = nn.RMSNorm(width, eps=config["epsilon"])
        self.key_norm = nn.RMSNorm(width, eps=config["epsilon"]) if config["key_norm"] else None
        self.query, self.key, self.value, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate = nn.Linear(width, width, bias=False) if config["gate"] else None
        self.scales = nn.Parameter(torch.ones(self.heads)) if config["head_scale"] else None

    def forward(self, x, mask):
        tokens, width = x.shape
        split = lambda x: x.view(tokens, self.heads, -1).transpose(0, 1)  # [heads, tokens, of a head]
        queries = self.norm(x)
        keys, values = (self.key_norm(x), x) if self.key_norm else (queries, queries)
        q, k, v = split(self.query(queries)), split(self.key(keys)), split(self.value(values))
        if self.config["qk_norm"]:
            q, k = (F.rms_norm(x, x.shape[-1:], eps=1e-6) for x in (q, k))
        seen = mask.sum(1)
        if self.config["log_scale"]:
            q = q * seen.clamp(min=1).log()[:, None]
        if self.scales is not None:
            q = q * self.scales[:, None, None]
        # Torch has no softmax over nothing: who sees nothing sees all, and is then left as it is.
        is_blind = (seen == 0)[:, None]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | is_blind)
        found = found.transpose(0, 1).reshape(tokens, width)
        if self.gate is not None:
            found = found * torch.sigmoid(self.gate(queries))
        return x + self.output(found).masked_fill(is_blind, 0.0)


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, hidden = config["width"], int(config["width"] * config["expansion"])
        self.norm = nn.RMSNorm(width, eps=config["epsilon"])
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        normed = self.norm(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class Block(nn.Module):
    def __init__(self, config, kinds):
        super().__init__()
        self.kinds = kinds
        self.attention = nn.ModuleList(Attention(config) for _ in kinds)
        self.feed_forward = FeedForward(config)

    def forward(self, x, masks):
        for layer, kind in zip(self.attention, self.kinds):
            x = layer(x, masks[kind])
        return self.feed_forward(x)


class Embedding(nn.Module):
    """Whose it is, scaled by the value, plus the value, plus the column."""

    def __init__(self, config):
        super().__init__()
        width, columns = config["width"], len(COLUMNS)
        sizes = [kind["vector"] if isinstance(kind, dict) else 0 for kind, _, _ in COLUMNS]
        self.first = np.cumsum([0] + sizes)
        self.identity = nn.Parameter(torch.empty(IDENTITIES, width))
        self.column = nn.Parameter(torch.empty(columns, width))
        self.category = nn.Parameter(torch.empty(int(FIRST_CATEGORY[-1]), width))
        self.number = nn.Parameter(torch.empty(columns, 9, 2 * width))
        self.vector = nn.Parameter(torch.empty(int(self.first[-1]), width))
        self.absent = nn.Parameter(torch.empty(2 * columns, width))

    def forward(self, token):
        column, state = token["column"], token["state"]
        identity, constant = self.identity[token["identity"]], self.column[column]
        if state != "shown":
            return identity + self.absent[2 * column + (state == "masked")] + constant
        if "number" in token:
            x = single(token["number"])
            angles = [x * torch.pi / 4 * 2**octave for octave in range(4)]
            features = torch.stack([x] + [of(angle) for angle in angles for of in (torch.sin, torch.cos)])
            scale, shift = (features @ self.number[column]).chunk(2)
            return identity * (1 + scale) + shift + constant
        if "code" in token:
            return identity + self.category[FIRST_CATEGORY[column] + token["code"]] + constant
        if "vector" in token:
            return identity + single(token["vector"]) @ self.vector[self.first[column] : self.first[column + 1]] + constant
        return identity + constant


class ColumnHeads(nn.Module):
    """An answer a column."""

    def __init__(self, config):
        super().__init__()
        width, columns, categories = config["width"], len(COLUMNS), int(FIRST_CATEGORY[-1])
        self.category, self.category_bias = nn.Parameter(torch.empty(width, categories)), nn.Parameter(torch.empty(categories))
        self.number, self.number_bias = nn.Parameter(torch.empty(width, columns)), nn.Parameter(torch.empty(columns))

    def forward(self, x, column):
        if COLUMNS[column][0] == NUMBER:
            return x @ self.number[:, column] + self.number_bias[column]
        own = slice(FIRST_CATEGORY[column], FIRST_CATEGORY[column + 1])
        return x @ self.category[:, own] + self.category_bias[own]


class Encoder(nn.Module):
    def __init__(self, config, inputs, has_mask=True):
        super().__init__()
        self.linear = nn.Linear(inputs, config["width"])
        self.norm = nn.RMSNorm(config["width"], eps=config["epsilon"])
        self.mask = nn.Parameter(torch.empty(config["width"])) if has_mask else None

    def forward(self, values):
        return self.norm(self.linear(single(values)))


class TypedEmbedding(nn.Module):
    """RT-v1's: the column's name, plus the value, by its semantic type."""

    def __init__(self, config, texts):
        super().__init__()
        self.texts = texts
        self.name = Encoder(config, TEXT, has_mask=False)
        self.number, self.datetime, self.boolean = (Encoder(config, 1) for _ in range(3))
        self.text = Encoder(config, TEXT)
        self.vectors = nn.ModuleList([Encoder(config, 3, has_mask=False)])

    def forward(self, token):
        column, (_, _, meaning) = token["column"], COLUMNS[token["column"]]
        name = self.name(self.texts["columns"][column])
        if token["state"] == "missing" or meaning == "link":
            return name
        encoder = self.vectors[0] if meaning == "vector" else getattr(self, meaning)
        if token["state"] == "masked":
            return name + encoder.mask
        if meaning == "boolean":
            return name + encoder([self.texts["truths"][column][token["code"]]])
        if "code" in token:
            return name + encoder(self.texts["categories"][FIRST_CATEGORY[column] + token["code"]])
        return name + encoder(token["vector"] if "vector" in token else [token["number"]])


class TypedHeads(nn.Module):
    """RT-v1's answers, one a semantic type; of a category the scores of its names as texts."""

    def __init__(self, config, texts):
        super().__init__()
        self.texts = texts
        self.number, self.datetime, self.boolean = (nn.Linear(config["width"], 1) for _ in range(3))
        self.text = nn.Linear(config["width"], TEXT)

    def forward(self, x, column):
        meaning = COLUMNS[column][2]
        found = getattr(self, meaning)(x)
        if meaning == "text":
            return found @ single(self.texts["categories"][FIRST_CATEGORY[column] : FIRST_CATEGORY[column + 1]]).T
        return found[:, 0]


class Model(nn.Module):
    def __init__(self, config, texts):
        super().__init__()
        self.heads = nn.ModuleDict()
        if config["tokens"] == "typed":
            self.typed, self.heads["by_type"] = TypedEmbedding(config, texts), TypedHeads(config, texts)
        else:
            self.embedding, self.heads["by_column"] = Embedding(config), ColumnHeads(config)
        self.blocks = nn.ModuleList(Block(config, kinds) for kinds in config["blocks"])
        self.norm = nn.RMSNorm(config["width"], eps=config["epsilon"])

    def forward(self, contexts):
        """By column, the answers for the tokens that are read, and these tokens."""
        states, read = {}, {}
        for context in contexts:
            embed = self.typed if hasattr(self, "typed") else self.embedding
            x = torch.stack([embed(token) for token in context["tokens"]])
            for block in self.blocks:
                x = block(x, context["masks"])
            x = self.norm(x)
            for at in context["reads"]:
                token = context["tokens"][at]
                states.setdefault(token["column"], []).append(x[at])
                read.setdefault(token["column"], []).append(token)
        [answer] = self.heads.values()
        return {column: (answer(torch.stack(states[column]), column), read[column]) for column in sorted(read)}


def mean_loss(answers, smoothing):
    """Over all tokens whose values are known."""
    total, count = 0.0, 0
    for column, (answer, tokens) in answers.items():
        kind, _, _ = COLUMNS[column]
        known = [at for at, token in enumerate(tokens) if "number" in token or "code" in token]
        answer, count = answer[known], count + len(known)
        if kind == NUMBER:
            truth = single([tokens[at]["number"] for at in known])
            total = total + F.huber_loss(answer, truth, reduction="sum")
            continue
        truth = torch.tensor([tokens[at]["code"] for at in known])
        if answer.dim() == 1:
            total = total + F.binary_cross_entropy_with_logits(answer, truth.to(answer.dtype), reduction="sum")
        else:
            total = total + F.cross_entropy(answer, truth, reduction="sum", label_smoothing=smoothing)
    return total / count


def single(numbers):
    """Numbers as they are with 32 bits."""
    return torch.tensor(np.asarray(numbers, dtype=np.float32)).double()


def fill(model, random):
    """Random weights of 32 bits: large enough that every layer matters, and small enough that no layer makes much of rounding, so
    that PyTorch itself, with 32 bits, has every gradient to 2e-6 of the largest of its tensor."""
    for name, parameter in model.named_parameters():
        numbers = random.standard_normal(tuple(parameter.shape))
        if name.endswith(("norm.weight", "scales")):
            numbers = 1 + 0.2 * numbers
        elif parameter.dim() == 2 and ("blocks" in name or "heads" in name or "linear" in name):
            numbers = 0.7 * numbers / np.sqrt(model.norm.weight.numel())
        else:
            numbers = 0.5 * numbers
        parameter.data.copy_(single(numbers))


def named(model, of):
    """Parameters, or what belongs to them, as Relata names and keeps them: matrices of layers are [inputs, outputs]."""
    found = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            numbers = of(parameter)
            assert numbers is not None, f"{path}.{name} has no gradient"
            numbers = numbers.detach()
            if isinstance(module, nn.RMSNorm):
                name = "gamma"
            if isinstance(module, nn.Linear) and name == "weight":
                numbers = numbers.T
            found[f"{path}.{name}"] = numbers
    return found


def run(name, config, contexts, texts, random):
    model = Model(config, texts)
    fill(model, random)
    found = {f"weight.{key}": numbers.clone() for key, numbers in named(model, lambda parameter: parameter).items()}
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=TRAIN["learning_rate"], betas=TRAIN["betas"], eps=TRAIN["eps"], weight_decay=TRAIN["weight_decay"]
    )
    losses, norms = [], []
    for step in range(STEPS):
        answers = model(contexts)
        loss = mean_loss(answers, SMOOTHING[name])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            found |= {f"gradient.{key}": numbers.clone() for key, numbers in named(model, lambda parameter: parameter.grad).items()}
            for column, (answer, _) in answers.items():
                # A logit as the scores of no and yes.
                is_logit = answer.dim() == 1 and COLUMNS[column][0] == CATEGORY
                answer = torch.stack([torch.zeros_like(answer), answer], 1) if is_logit else answer
                found[f"answer.{column}"] = answer.detach()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), TRAIN["clip"]).item())
        losses.append(loss.item())
        optimizer.step()
    found |= {"losses": torch.tensor(losses), "norms": torch.tensor(norms)}
    print(f"{name}: loss {losses[0]:.4f} to {losses[-1]:.4f}, norm {norms[0]:.2f} to {norms[-1]:.2f}")
    return {f"{name}.{key}": numbers for key, numbers in found.items()}


def write(path, tensors, setup):
    """As <https://github.com/huggingface/safetensors> describes the format."""
    header, data = {"__metadata__": {"setup": json.dumps(setup)}}, b""
    for name in sorted(tensors):
        numbers = tensors[name].contiguous().numpy().astype("<f4")
        header[name] = {"dtype": "F32", "shape": list(numbers.shape), "data_offsets": [len(data), len(data) + numbers.nbytes]}
        data += numbers.tobytes()
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def main():
    # The old generator, whose numbers stay the same from version to version.
    random = np.random.RandomState(SEED)
    contexts = [make_context(random) for _ in range(4)]
    met = {(token["column"], token["state"]) for context in contexts for token in context["tokens"]}
    assert len(met) == 18, "every column is shown and missing, and masked where it can be"
    texts = {
        "columns": [[number(random) for _ in range(TEXT)] for _ in COLUMNS],
        "categories": [[number(random) for _ in range(TEXT)] for _ in range(FIRST_CATEGORY[-1])],
        "truths": [[-0.75, 1.25] if meaning == "boolean" else [0.0, 1.0] for _, _, meaning in COLUMNS],
    }
    setup = {
        "columns": [{"kind": kind, "categories": count, "semantic": meaning} for kind, count, meaning in COLUMNS],
        "identities": IDENTITIES,
        "contexts": contexts,
        "texts": texts,
        "models": {name: {"config": config, "smoothing": SMOOTHING[name]} for name, config in MODELS.items()},
        "learning_rate": TRAIN["learning_rate"],
        "weight_decay": TRAIN["weight_decay"],
        "clip": TRAIN["clip"],
    }
    setup = json.loads(json.dumps(setup))
    kinds = ["column", "row", "neighbour", "up", "down", "full"]
    for context in contexts:
        context["masks"] = masks(context, kinds)
    tensors = {}
    for name, config in MODELS.items():
        tensors |= run(name, config, contexts, texts, random)
    write(Path(sys.argv[1]) / "golden.safetensors", tensors, setup)


if __name__ == "__main__":
    main()
