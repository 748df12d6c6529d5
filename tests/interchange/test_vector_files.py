"""Vectors of users' files: every form gives the same numbers, and pickles are never read."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from recbole_mm.errors import InputError
from recbole_mm.interchange.vector_files import read_vector_source

MATRIX = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(width=32, allow_subnormal=False)
)


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def write_forms(folder, matrix: np.ndarray) -> dict[str, str]:
    """The same vectors in each form: form -> source."""
    ids = [f"m {i}" for i in range(len(matrix))]
    (folder / "tree").mkdir(exist_ok=True)
    for path in (folder / "tree").iterdir():
        path.unlink()
    np.save(folder / "m.npy", matrix)
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    np.save(folder / "ids.npy", np.array(ids))
    pd.DataFrame({"item_id": ids, "title": "x"}).to_csv(folder / "items.csv", index=False)
    np.savez(folder / "m.npz", item_id=np.array(ids), vectors=matrix)
    np.savez(folder / "each.npz", **dict(zip(ids, matrix)))
    pd.DataFrame(matrix).assign(item_id=ids).to_csv(folder / "wide.csv", index=False)
    texts = [" ".join(map(repr, row.tolist())) for row in matrix]
    pd.DataFrame({"asin": ids, "vector": texts}).to_csv(folder / "text.csv", index=False)
    lists = [str(row.tolist()) for row in matrix]
    pd.DataFrame({"asin": ids, "vector": lists}).to_csv(folder / "list.csv", index=False)
    for token, row in zip(ids, matrix):
        np.save(folder / "tree" / f"{token}.npy", row[None])
    sources = {"npy": "m.npy:ids.txt", "npy of ids": "m.npy:ids.npy", "npy of items": "m.npy:items.csv"}
    sources |= {"npz": "m.npz", "npz of each": "each.npz", "wide": "wide.csv", "text": "text.csv", "list": "list.csv"}
    return {form: str(folder / name).replace(":", f":{folder}/") for form, name in sources.items()} | {
        "tree": str(folder / "tree")
    }


@given(MATRIX)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_form_gives_the_same_vectors(tmp_path, matrix):
    for form, source in write_forms(tmp_path, matrix).items():
        read = read_vector_source(source)
        order = np.argsort([str(token) for token in read.item_ids])
        assert [str(read.item_ids[row]) for row in order] == sorted(f"m {i}" for i in range(len(matrix))), form
        np.testing.assert_array_equal(np.asarray(read.values, np.float32)[order], matrix, err_msg=form)


def test_parquet_with_a_list_column(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    pd.DataFrame({"item_id": [1, 2, 3], "emb": list(matrix)}).to_parquet(tmp_path / "v.parquet")
    read = read_vector_source(str(tmp_path / "v.parquet"))
    assert read.item_ids.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(read.values, matrix)


def test_no_pickle_is_ever_read(tmp_path):
    trap = Trap(tmp_path / "opened")
    np.save(tmp_path / "object.npy", np.array([trap, trap], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", item_id=np.array(["a", "b"]), vectors=np.array([[trap], [trap]], dtype=object))
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(trap))
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(trap))
    (tmp_path / "tree").mkdir()
    np.save(tmp_path / "tree" / "a.npy", np.array([trap], dtype=object), allow_pickle=True)
    (tmp_path / "ids.txt").write_text("a\nb\n")
    (tmp_path / "opened").unlink(missing_ok=True)
    for source in ("object.npy:ids.txt", "object.npz", "v.pkl", "tree", "object.npy"):
        with pytest.raises(InputError, match="pickled Python objects|no item ids"):
            read_vector_source(str(tmp_path / source).replace(":", f":{tmp_path}/"))
    with pytest.raises(InputError):
        read_vector_source(f"{tmp_path}/plain.npy:{tmp_path}/ids.txt")
    assert not (tmp_path / "opened").exists()


@given(st.binary(max_size=300), st.sampled_from(["v.npy:ids.txt", "v.npz", "v.csv", "v.npy"]))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_bytes_are_vectors_or_one_error(tmp_path, content, source):
    (tmp_path / "ids.txt").write_text("a\nb\n")
    path, _, ids = source.partition(":")
    for head in (b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04"):
        (tmp_path / path).write_bytes(head + content)
        refusal = str(tmp_path)
        try:
            read_vector_source(f"{tmp_path}/{path}" + (f":{tmp_path}/{ids}" if ids else ""))
        except InputError as error:
            refusal = str(error)
        assert str(tmp_path) in refusal


def test_a_header_cannot_ask_for_more_memory_than_the_file_is_long(tmp_path):
    with open(tmp_path / "v.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 10)}
        )
    (tmp_path / "ids.txt").write_text("a\n")
    with pytest.raises(InputError, match="its header tells of"):
        read_vector_source(f"{tmp_path}/v.npy:{tmp_path}/ids.txt")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("m.npy", "holds no item ids; name a file with them"),
        ("m.npy:short.txt", "has 3 rows, but .*short.txt has 2 ids"),
        ("m.npy:absent.txt", "absent.txt: no such file"),
        ("absent.npy:ids.txt", "absent.npy: no such file"),
        ("m.npz:ids.txt", "only an .npy matrix takes ids"),
        ("word.csv", "line 2: column 'b' is 'x', which is no number"),
        ("ragged.csv", "line 3 has 2 values, the first row has 3"),
        ("two.npz", r"holds a \[3, 2\], b \[3, 2\]"),
        ("nested", "they are in several folders"),
        ("empty", "but there is none"),
        ("cube.npy:ids.txt", r"shape \[1, 2, 3\]"),
        ("v.h5", "vectors are an .npy"),
    ],
)
def test_wrong_sources_name_the_remedy(tmp_path, source, message):
    matrix = np.ones((3, 2))
    write_forms(tmp_path, matrix)
    (tmp_path / "short.txt").write_text("a\nb\n")
    (tmp_path / "word.csv").write_text("item_id,a,b\n1,2,x\n")
    (tmp_path / "ragged.csv").write_text("item_id,v\n1,1 2 3\n2,1 2\n")
    np.savez(tmp_path / "two.npz", a=matrix, b=matrix)
    for folder in ("nested/a", "nested/b", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    np.save(tmp_path / "nested/a/1.npy", matrix[0])
    np.save(tmp_path / "nested/b/1.npy", matrix[0])
    np.save(tmp_path / "cube.npy", np.ones((1, 2, 3)))
    (tmp_path / "v.h5").write_text("x")
    path, _, ids = source.partition(":")
    with pytest.raises(InputError, match=message):
        read_vector_source(f"{tmp_path}/{path}" + (f":{tmp_path}/{ids}" if ids else ""))
