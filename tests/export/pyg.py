"""Makes PyTorch Geometric graphs of the planted graph's shards, as the README does, compares them with the tables of the same
snapshot, and trains a model on them.

Usage: pyg.py FOLDER README, where FOLDER holds `subgraphs` and `all` (Arrow), `subgraphs-parquet`, and `parquet`, an export.
Needs pyarrow, torch and torch_geometric.
"""

import collections
import json
import os
import pathlib
import re
import sys

import numpy
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import torch
from torch_geometric.data import Batch
from torch_geometric.nn import HeteroConv, SAGEConv
from torch_geometric.transforms import ToUndirected

FOLDER = pathlib.Path(sys.argv[1])
README = pathlib.Path(sys.argv[2]).resolve()
os.chdir(FOLDER)
torch.manual_seed(1)

blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
[block] = [block for block in blocks if "HeteroData" in block]
readme = {}
exec(compile(block, "README.md", "exec"), readme)

# The other way to the same: tables by key.
KEYS, NODES, EDGES = {}, {}, {}
for path in pathlib.Path("parquet/nodes").glob("*.parquet"):
    rows = pyarrow.parquet.read_table(path).to_pylist()
    NODES[path.stem] = {row.pop("key"): row for row in rows}
    KEYS[path.stem] = sorted(NODES[path.stem], key=str.encode)
for path in pathlib.Path("parquet/edges").glob("*.parquet"):
    EDGES[path.stem] = collections.Counter()
    for row in pyarrow.parquet.read_table(path).to_pylist():
        source, target = row.pop("source"), row.pop("target")
        EDGES[path.stem][source, target, json.dumps(row, sort_keys=True)] += 1
SYMMETRIC = {"gene.interacts.gene"}
compared = collections.Counter()


def shards(folder):
    """All rows, with the names of their columns."""
    files = sorted(pathlib.Path(folder).glob("part-*"))
    assert files, folder
    if files[0].suffix == ".parquet":
        return pyarrow.concat_tables([pyarrow.parquet.read_table(file) for file in files])
    return pyarrow.concat_tables([pyarrow.ipc.open_file(file).read_all() for file in files], promote_options="none")


def owners(table, dots):
    """Node types (no dot) or relations (two), each with the names of its columns."""
    found = collections.defaultdict(list)
    for name in table.column_names:
        owner, dot, what = name.rpartition(".")
        if dot and owner.count(".") == dots:
            found[owner].append(what)
    return found


def nodes_of(row, node_type):
    """Their keys, of which the numbers are said too."""
    keys = row[f"{node_type}.key"]
    assert keys == [KEYS[node_type][number] for number in row[f"{node_type}.node"]]
    return keys


def edges_of(row, relation, attributes):
    """By keys, as a table has them: an edge of a symmetric relation comes from either end."""
    source_type, _, target_type = relation.split(".")
    sources, targets = nodes_of(row, source_type), nodes_of(row, target_type)
    found = collections.Counter()
    for at, (source, target) in enumerate(zip(row[f"{relation}.source"], row[f"{relation}.target"])):
        values = json.dumps({name: row[f"{relation}.{name}"][at] for name in attributes}, sort_keys=True)
        ends = sources[source], targets[target]
        if relation in SYMMETRIC and (*ends, values) not in EDGES[relation]:
            ends = ends[::-1]
        found[*ends, values] += 1
    return found


def check_values(row, types):
    for node_type, names in types.items():
        attributes = set(names) - {"node", "hop", "key"}
        for at, key in enumerate(nodes_of(row, node_type)):
            for name in attributes:
                found, expected = row[f"{node_type}.{name}"][at], NODES[node_type][key][name]
                assert found == expected, (node_type, key, name, found, expected)
                compared["values"] += 1


def check_edges(table, is_all):
    """Each edge is one of the table's; where all were asked for, a seed has all of its own."""
    types, relations = owners(table, 0), owners(table, 2)
    assert set(types) <= set(NODES) and set(relations) <= set(EDGES)
    for row in table.to_pylist():
        check_values(row, types)
        seeds = {nodes_of(row, "cell")[place] for place in row["seeds"]}
        assert {key for key, hop in zip(row["cell.key"], row["cell.hop"]) if hop == 0} == seeds
        for relation, names in relations.items():
            found = edges_of(row, relation, sorted(set(names) - {"source", "target", "incoming"}))
            assert found <= EDGES[relation], (relation, found - EDGES[relation])
            compared["edges"] += found.total()
            if is_all:
                source_type, _, target_type = relation.split(".")
                touches = lambda edge: (source_type == "cell" and edge[0] in seeds) or (target_type == "cell" and edge[1] in seeds)
                expected = {edge: count for edge, count in EDGES[relation].items() if touches(edge)}
                assert found == expected, (relation, seeds)


def numbers(table, row, name):
    """A column as single numbers, 0 where missing."""
    found = table[name][row].values
    if pyarrow.types.is_fixed_size_list(found.type):
        width = found.type.list_size
        rows = [value or [0.0] * width for value in found.to_pylist()]
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, width)
    found = numpy.nan_to_num(found.cast(pyarrow.float64()).to_numpy(zero_copy_only=False).astype("float64"))
    return torch.from_numpy(numpy.sign(found) * numpy.log1p(numpy.abs(found))).float().unsqueeze(1)


def featured(table, row):
    """The README's graph, with features and a label."""
    data = readme["hetero"](row)
    for node_type in data.node_types:
        ones = torch.ones(data[node_type].num_nodes, 1)
        names = {"cell": ["age", "total_counts", "reads", "gait"], "gene": ["length", "kind"]}.get(node_type, [])
        data[node_type].x = torch.cat([ones, *(numbers(table, row, f"{node_type}.{name}") for name in names)], 1)
    codes = table["cell.celltype"][row].values.indices.to_numpy(zero_copy_only=False)
    data["cell"].y = torch.from_numpy(numpy.nan_to_num(codes.astype("float64"), nan=-1)).long()
    return data


def check_graph(table, row, data):
    """What the README makes is what the row says."""
    said = table.slice(row, 1).to_pylist()[0]
    assert data.validate(raise_on_error=True)
    assert set(data.node_types) == set(owners(table, 0))
    assert {".".join(edge_type) for edge_type in data.edge_types} == set(owners(table, 2))
    for node_type in data.node_types:
        assert data[node_type].n_id.tolist() == said[f"{node_type}.node"]
    for source, relation, target in data.edge_types:
        title = f"{source}.{relation}.{target}"
        ends = data[source, relation, target].edge_index
        assert ends.dtype == torch.int64 and ends.tolist() == [said[f"{title}.source"], said[f"{title}.target"]]
        for end, node_type in zip(ends, (source, target)):
            assert end.numel() == 0 or (end.min() >= 0 and end.max() < data[node_type].num_nodes)
        compared["edge_index"] += ends.shape[1]
    assert data["cell"].is_seed.nonzero().flatten().tolist() == sorted(set(said["seeds"]))


class Model(torch.nn.Module):
    def __init__(self, edge_types, classes):
        super().__init__()
        # -1: the widths of the two ends are those of the first batch.
        layer = lambda width: HeteroConv({edge_type: SAGEConv((-1, -1), width) for edge_type in edge_types}, aggr="sum")
        self.first, self.second = layer(16), layer(classes)

    def forward(self, x, edges):
        x = {node_type: values.relu() for node_type, values in self.first(x, edges).items()}
        return self.second(x, edges)["cell"]


def check_training(table):
    graphs = [featured(table, row) for row in range(table.num_rows)]
    for row, data in enumerate(graphs):
        check_graph(table, row, data)
    batch = ToUndirected()(Batch.from_data_list(graphs))
    assert batch.validate(raise_on_error=True)
    assert batch["cell"].num_nodes == sum(data["cell"].num_nodes for data in graphs)
    shown = batch["cell"].is_seed & (batch["cell"].y >= 0)
    assert shown.sum() > 50
    classes = table["cell.celltype"].chunk(0).values.dictionary
    model = Model(batch.edge_types, len(classes))
    optimizer = None
    losses = []
    for _ in range(20):
        loss = torch.nn.functional.cross_entropy(model(batch.x_dict, batch.edge_index_dict)[shown], batch["cell"].y[shown])
        assert torch.isfinite(loss)
        optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.01)
        optimizer.zero_grad()
        loss.backward()
        for edge_type in batch.edge_types:
            # The second layer's answer is asked of cells only.
            if edge_type[2] == "cell":
                for parameter in model.second.convs[edge_type].parameters():
                    assert torch.isfinite(parameter.grad).all() and (parameter.grad != 0).any(), edge_type
        assert any((parameter.grad != 0).any() for parameter in model.first.parameters() if parameter.grad is not None)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0], losses
    compared["steps"] = len(losses)
    return losses


arrow = shards("subgraphs")
metadata = {key.decode(): value.decode() for key, value in arrow.schema.metadata.items()}
assert metadata["relata.snapshot"] == pathlib.Path("snapshot").read_text() and json.loads(metadata["relata.sampler"])["seed"] == 3
manifest = json.loads(pathlib.Path("subgraphs/manifest.json").read_text())
assert manifest["subgraphs"] == arrow.num_rows and manifest["snapshot"] == metadata["relata.snapshot"]
assert arrow.to_pylist() == shards("subgraphs-parquet").to_pylist()
check_edges(arrow, is_all=False)
check_edges(shards("all"), is_all=True)
losses = check_training(readme["table"])
print(f"loss {losses[0]:.3f} to {losses[-1]:.3f}", file=sys.stderr)
print(json.dumps(compared))
