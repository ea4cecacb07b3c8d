"""Opens each export of the planted graph with the library that people open it with, and compares all of it.

Usage: check.py FOLDER, where FOLDER holds planted.json and the exports. Needs pyarrow, networkx and anndata.
"""

import collections
import json
import math
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import anndata
import networkx
import numpy
import pandas
import pyarrow
import pyarrow.parquet

FOLDER = pathlib.Path(sys.argv[1])
PLANTED = json.loads((FOLDER / "planted.json").read_text(encoding="utf-8"))
SYMMETRIC = "gene.interacts.gene"
compared = collections.Counter()


def same(where, found, expected):
    if isinstance(expected, float):
        ok = isinstance(found, float) and found == expected and math.copysign(1, found) == math.copysign(1, expected)
    else:
        ok = type(found) is type(expected) and found == expected
    assert ok, f"{where}: found {found!r}, expected {expected!r}"
    compared[where.split(":")[0]] += 1


def frozen(edges):
    """Edges as a multiset."""
    return collections.Counter((source, target, json.dumps(values, sort_keys=True)) for source, target, values in edges)


def canonical(edges):
    """An edge of a symmetric relation from either end."""
    return [(*sorted([source, target]), values) for source, target, values in edges]


# Parquet


def parquet_values(row, names):
    """What a row says, as planted: an interval's four columns together, nulls left out."""
    values = {}
    for name in names:
        if row[name] is None:
            continue
        owner, dot, part = name.partition(".")
        if dot:
            values.setdefault(owner, {})[part] = row[name]
        else:
            values[name] = row[name]
    return values


def check_parquet():
    files = sorted(str(path.relative_to(FOLDER / "parquet")) for path in (FOLDER / "parquet").rglob("*.parquet"))
    expected = [f"nodes/{name}.parquet" for name in PLANTED["nodes"]] + [f"edges/{name}.parquet" for name in PLANTED["edges"]]
    same("parquet: files", files, sorted(expected))
    for node_type, nodes in PLANTED["nodes"].items():
        table = pyarrow.parquet.read_table(FOLDER / "parquet" / "nodes" / f"{node_type}.parquet")
        same(f"parquet: rows of {node_type}", table.num_rows, len(nodes))
        for row in table.to_pylist():
            key = row.pop("key")
            same(f"parquet: {node_type} {key}", parquet_values(row, row), nodes[key])
    for relation, edges in PLANTED["edges"].items():
        table = pyarrow.parquet.read_table(FOLDER / "parquet" / "edges" / f"{relation}.parquet")
        rows = table.to_pylist()
        found = [(row.pop("source"), row.pop("target"), parquet_values(row, row)) for row in rows]
        if relation == SYMMETRIC:
            found, edges = canonical(found), canonical(edges)
        same(f"parquet: edges of {relation}", frozen(found), frozen(edges))
    schema = pyarrow.parquet.read_schema(FOLDER / "parquet" / "nodes" / "cell.parquet")
    strings = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    for name, expected in [
        ("key", pyarrow.string()), ("age", pyarrow.float64()), ("reads", pyarrow.uint64()), ("celltype", strings),
        ("note", pyarrow.string()), ("doublet", pyarrow.bool_()), ("time", pyarrow.int64()), ("gait", pyarrow.list_(pyarrow.float32(), 3)),
    ]:
        assert schema.field(name).type == expected, (name, schema.field(name).type)
    same("parquet: unit", schema.field("age").metadata[b"unit"], b"days")
    schema = pyarrow.parquet.read_schema(FOLDER / "parquet" / "edges" / "cell.divides_into.cell.parquet")
    types = [schema.field(name).type for name in ["source", "target", "at", "sure", "rate", "how"]]
    assert types == [strings, strings, pyarrow.int64(), pyarrow.bool_(), pyarrow.float32(), strings], types
    frame = pandas.read_parquet(FOLDER / "parquet" / "edges" / "cell.expresses.gene.parquet")
    assert isinstance(frame.source.dtype, pandas.CategoricalDtype)


# GraphML


def fits_xml(letter):
    return letter in "\t\n\r" or (letter >= " " and letter not in "\ufffe\uffff")


def identity(node_type, key):
    escaped = (letter if fits_xml(letter) and letter >= " " and letter != "%" else
               "".join(f"%{byte:02X}" for byte in letter.encode()) for letter in key)
    return f"{node_type}:{''.join(escaped)}"


def readable(text):
    return "".join(letter if fits_xml(letter) else "\ufffd" for letter in text)


def graphml_values(values, owner, alone):
    """As networkx should see them. Which of its parsers is there decides whether empty texts are seen at all."""
    shown = {}
    for name, value in values.items():
        # Of another kind in another type that is in the file.
        name = f"{owner}.{name}" if name == "kind" and not alone else name
        if isinstance(value, dict):
            shown.update({f"{name}.{part}": part_value for part, part_value in value.items()})
        elif isinstance(value, list):
            shown[name] = tuple(value)
        elif isinstance(value, str):
            if value:
                shown[name] = readable(value)
        else:
            shown[name] = value
    return shown


def single(number):
    return float(numpy.float32(number))


def graphml_edges(relation, edges):
    source_type, name, target_type = relation.split(".")
    for source, target, values in edges:
        yield identity(source_type, source), identity(target_type, target), {"relation": name, **values}


def check_graphml_nodes(graph, types):
    planted = {node_type: PLANTED["nodes"][node_type] for node_type in types}
    same("graphml: nodes", graph.number_of_nodes(), sum(map(len, planted.values())))
    for node_type, nodes in planted.items():
        for key, values in nodes.items():
            found = {name: value for name, value in graph.nodes[identity(node_type, key)].items() if value != ""}
            same("graphml: type", found.pop("type"), node_type)
            same("graphml: key", found.pop("key"), readable(key))
            same("graphml: label", found.pop("label"), readable(values.get("symbol", values.get("name", key))))
            if "gait" in found:
                found["gait"] = tuple(map(single, found["gait"].split(" ")))
            same(f"graphml: {node_type} {key}", found, graphml_values(values, node_type, len(planted) == 1))


def networkx_edges(graph):
    for source, target, values in graph.edges(data=True):
        floats = {name: single(value) if isinstance(value, float) else value for name, value in values.items()}
        floats.pop("id", None)
        # networkx has floats for counts of a `float` key only: whole numbers stay whole.
        yield source, target, floats


def with_whole_counts(edges):
    for source, target, values in edges:
        yield source, target, {name: int(value) if name == "count" else value for name, value in values.items()}


def check_graphml():
    graph = networkx.read_graphml(FOLDER / "both.graphml")
    assert graph.is_directed() and graph.is_multigraph()
    check_graphml_nodes(graph, PLANTED["nodes"])
    expected = []
    for relation, edges in PLANTED["edges"].items():
        expected += graphml_edges(relation, edges)
        if relation == SYMMETRIC:
            expected += graphml_edges(relation, [(target, source, values) for source, target, values in edges if source != target])
    same("graphml: edges", frozen(networkx_edges(graph)), frozen(with_whole_counts(expected)))

    graph = networkx.read_graphml(FOLDER / "interacts.graphml")
    assert not graph.is_directed()
    same("graphml: undirected", graph.number_of_edges(), len(PLANTED["edges"][SYMMETRIC]))
    check_graphml_nodes(graph, ["gene"])

    tags = collections.Counter()
    for _, element in ElementTree.iterparse(FOLDER / "mixed.graphml"):
        if element.tag.endswith("}edge"):
            tags[element.get("directed")] += 1
    symmetric = len(PLANTED["edges"][SYMMETRIC])
    directed = sum(map(len, PLANTED["edges"].values())) - symmetric
    same("graphml: directed", dict(tags), {"false": symmetric, None: directed})
    try:
        networkx.read_graphml(FOLDER / "mixed.graphml")
    except networkx.NetworkXError:
        return
    raise AssertionError("networkx reads mixed graphs now: `both` is no longer what it needs")


# AnnData


def check_frame(frame, node_type, links):
    nodes = PLANTED["nodes"][node_type]
    same("h5ad: keys", list(frame.index), sorted(nodes, key=str.encode))
    expected = set(links)
    for values in nodes.values():
        for name, value in values.items():
            if isinstance(value, dict):
                expected.update(f"{name}.{part}" for part in value)
            elif not isinstance(value, list):
                expected.add(name)
    same("h5ad: columns", set(frame.columns), expected)
    for name in frame.columns:
        owner, dot, part = name.partition(".")
        for key, found in zip(frame.index, frame[name]):
            value = links[name].get(key) if name in links else nodes[key].get(owner)
            if dot and value is not None:
                value = value[part]
            if value is None:
                assert pandas.isna(found), (name, key, found)
                compared["h5ad"] += 1
            else:
                plain = found.item() if isinstance(found, numpy.generic) else found
                same(f"h5ad: {name} of {key}", plain, value)


def check_matrix(matrix, rows, columns, edges, value):
    dense = {(source, target): value(values) for source, target, values in edges}
    assert len(dense) == len(edges)
    matrix = matrix.tocsr()
    assert matrix.has_sorted_indices
    same("h5ad: entries", matrix.nnz, len(dense))
    coordinates = matrix.tocoo()
    for row, column, found in zip(coordinates.row, coordinates.col, coordinates.data):
        expected = dense[rows[row], columns[column]]
        if isinstance(expected, float) and math.isnan(expected):
            assert math.isnan(found)
        else:
            same("h5ad: entry", found.item(), expected)


def check_anndata():
    data = anndata.read_h5ad(FOLDER / "cells.h5ad")
    tissues = {source: target for source, target, _ in PLANTED["edges"]["cell.from_tissue.tissue"]}
    check_frame(data.obs, "cell", {"from_tissue": tissues})
    check_frame(data.var, "gene", {})
    same("h5ad: integers", str(data.X.dtype), "int32")
    check_matrix(data.X, data.obs_names, data.var_names, PLANTED["edges"]["cell.expresses.gene"], lambda values: int(values["count"]))
    cells = PLANTED["nodes"]["cell"]
    for key, row in zip(data.obs_names, data.obsm["gait"]):
        if "gait" in cells[key]:
            same("h5ad: vector", row.tolist(), cells[key]["gait"])
        else:
            assert numpy.isnan(row[0])
    embedded = json.loads((FOLDER / "embedding.json").read_text(encoding="utf-8"))
    for name, width in [("X_first", "vectors"), ("X_first_layout", "layout")]:
        for key, row in zip(data.obs_names, data.obsm[name]):
            if key in embedded:
                same("h5ad: embedding", row.tolist(), embedded[key][width])
            else:
                assert numpy.isnan(row).all()
    relata = data.uns["relata"]
    same("h5ad: relation", (relata["relation"], relata["value"]), ("cell.expresses.gene", "count"))
    same("h5ad: snapshot", relata["snapshot"], (FOLDER / "snapshot").read_text())
    same("h5ad: provenance", json.loads(relata["sources"])[0]["dataset"], "planted")

    data = anndata.read_h5ad(FOLDER / "tissues.h5ad")
    edges = PLANTED["edges"]["cell.from_tissue.tissue"]
    check_matrix(data.X, data.obs_names, data.var_names, edges, lambda values: 1.0)
    data = anndata.read_h5ad(FOLDER / "interacts.h5ad")
    edges = PLANTED["edges"][SYMMETRIC]
    mirrored = [(target, source, values) for source, target, values in edges if source != target]
    check_matrix(data.X, data.obs_names, data.var_names, edges + mirrored, lambda values: values.get("score", math.nan))
    # What anndata has read it can write.
    data.write_h5ad(FOLDER / "again.h5ad")


check_parquet()
check_graphml()
check_anndata()
print(json.dumps(compared))
