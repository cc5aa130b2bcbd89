"""Results as tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas
import pyarrow
import pytest

import kaspector
from conftest import Said

FOUND = "pcaps/dns-then-tls.pcap"
NOTHING = "pcaps/unrelated.pcap"


@pytest.mark.parametrize("rows", ["hosts", "evidence", "alerts"])
def test_rows_are_those_of_the_result(rows: str, said: dict[Path, Said]) -> None:
    result, empty = kaspector.scan(FOUND), kaspector.scan(NOTHING)
    expected = {
        "hosts": result.hosts,
        "evidence": result.hosts[0].evidence,
        "alerts": result.alerts,
    }[rows]
    frame, table = result.to_pandas(rows), result.to_arrow(rows)
    assert isinstance(frame, pandas.DataFrame) and isinstance(table, pyarrow.Table)
    assert len(frame) == table.num_rows == len(expected) > 0
    assert list(frame.columns) == table.column_names
    time = "time" if rows == "alerts" else "first_seen"
    first = expected[0]
    assert frame[time][0].to_pydatetime(warn=False) == getattr(first, time)
    assert frame[time][0].value == getattr(first, f"{time}_ns") == table[time][0].value
    assert frame["address"][0] == table["address"][0].as_py() == "10.20.0.5"
    # Without rows there are still the same columns of the same kinds.
    assert len(empty.to_pandas(rows)) == 0 and list(empty.to_pandas(rows).columns) == list(frame.columns)
    assert empty.to_pandas(rows).dtypes.equals(frame.dtypes)
    assert empty.to_arrow(rows).schema == table.schema


def test_lists_and_absent_numbers_survive(said: dict[Path, Said]) -> None:
    result = kaspector.scan("pcaps/two-tenants.pcap")
    frame, table = result.to_pandas(), result.to_arrow()
    assert frame["products"][0] == list(result.hosts[0].products) == table["products"][0].as_py()
    assert frame["vni"].tolist() == table["vni"].to_pylist() == [host.vni for host in result.hosts]
    assert frame["vlan"].isna().all() and table["vlan"].null_count == table.num_rows


def test_another_kind_of_rows_is_told(said: dict[Path, Said]) -> None:
    with pytest.raises(ValueError, match="'hosts', 'evidence', 'alerts'"):
        kaspector.scan(FOUND).to_pandas("flows")


def test_what_is_missing_is_told(said: dict[Path, Said], monkeypatch: pytest.MonkeyPatch) -> None:
    result = kaspector.scan(FOUND)
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'kaspector\[pandas\]'"):
        result.to_pandas()
    with pytest.raises(ImportError, match=r"pip install 'kaspector\[arrow\]'"):
        result.to_arrow()
