"""Results as tables, for those who have pandas or pyarrow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from ._findings import Result

_ZONE = [("address", "text"), ("vlan", "int"), ("inner_vlan", "int"), ("vni", "int")]
_SEEN = [("first_seen", "time"), ("last_seen", "time")]
_SHOWN = [(name, "text") for name in ("indicator", "category", "strength", "seen_as", "reached", "field", "observed")]

#: Columns of each kind of row, and what they hold.
COLUMNS: dict[str, list[tuple[str, str]]] = {
    "hosts": [
        *_ZONE,
        *[(name, "text") for name in ("mac", "next_hop_mac", "verdict", "role")],
        ("confidence", "int"),
        *[(name, "texts") for name in ("categories", "products", "engine_in", "notes")],
        *_SEEN,
        *[(name, "int") for name in ("flows", "bytes_sent", "bytes_received")],
    ],
    "evidence": [*_ZONE, ("verdict", "text"), *_SHOWN, ("count", "int"), *_SEEN, ("server", "text"),
                 ("server_port", "int"), ("input", "text"), ("packet", "int")],
    "alerts": [("time", "time"), ("packet", "int"), *_ZONE, ("host_is_server", "bool"), ("client", "text"),
               ("client_port", "int"), ("server", "text"), ("server_port", "int"), ("protocol", "int"), *_SHOWN,
               ("eve", "text")],
}


def to_pandas(result: Result, rows: str) -> pandas.DataFrame:
    columns = _columns(result, rows)
    pd = _import("pandas")
    dtypes = {"text": "object", "texts": "object", "int": "Int64", "bool": "bool"}
    series = {}
    for name, kind, values in columns:
        if kind == "time":
            series[name] = pd.to_datetime(pd.Series(values, dtype="int64"), unit="ns", utc=True)
        else:
            series[name] = pd.Series(values, dtype=dtypes[kind])
    frame: pandas.DataFrame = pd.DataFrame(series)
    return frame


def to_arrow(result: Result, rows: str) -> pyarrow.Table:
    columns = _columns(result, rows)
    pa = _import("pyarrow")
    types = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("ns", tz="UTC"),
    }
    table: pyarrow.Table = pa.table({name: pa.array(values, types[kind]) for name, kind, values in columns})
    return table


def _columns(result: Result, rows: str) -> list[tuple[str, str, list[Any]]]:
    """Name, kind and values of each column; times are nanoseconds since 1970."""
    if rows not in COLUMNS:
        raise ValueError(f"rows is {rows!r}; it is one of {', '.join(map(repr, COLUMNS))}")
    if rows == "evidence":
        found = [_merged(host, one) for host in result.hosts for one in host.evidence]
    else:
        found = [vars(one) for one in (result.hosts if rows == "hosts" else result.alerts)]
    columns = []
    for name, kind in COLUMNS[rows]:
        key = f"{name}_ns" if kind == "time" else name
        values = [row[key] for row in found]
        columns.append((name, kind, [list(one) for one in values] if kind == "texts" else values))
    return columns


def _merged(host: Any, evidence: Any) -> dict[str, Any]:
    return {**vars(host), **vars(evidence)}


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra = "arrow" if name == "pyarrow" else name
        raise ImportError(f"this needs {name}: pip install 'kaspector[{extra}]'") from error
