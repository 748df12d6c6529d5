"""Vector files: what is written is what is read, whatever the order; what is wrong is named with its place."""

from __future__ import annotations

import logging
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recbole_mm.data import vectors
from recbole_mm.data.vector_table import VectorTable
from recbole_mm.data.vectors import align, read_vectors, write_vectors, write_vectors_npz
from recbole_mm.errors import InputError
from recbole_mm.files import writing

HEADER = "item_id:token\ttext_vec:float_seq\n"

# One folder for all examples of a property: each example overwrites the file of the one before.
property_test = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
item_tokens = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> VectorTable:
    tokens = draw(st.lists(item_tokens, min_size=1, max_size=12, unique=True))
    shape = (len(tokens), draw(st.integers(1, 6)))
    values = draw(hnp.arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32)))
    return VectorTable(np.array(tokens), values)


def write_text(folder: Path, content: str | bytes, field: str = "text") -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / f"d.{field}").write_bytes(data)


def error_of(folder: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_vectors(folder, "d", "text", **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestRoundTrip:
    @given(table=tables(), decimals=st.integers(1, 6))
    @property_test
    def test_text(self, tmp_path: Path, table: VectorTable, decimals: int) -> None:
        write_vectors(tmp_path / "d.text", "text", table.item_ids, table.values, decimals=decimals)
        read = read_vectors(tmp_path, "d", "text")
        assert read.item_ids.tolist() == table.item_ids.tolist()
        assert read.values.dtype == np.float32
        expected = np.round(table.values.astype(np.float64), decimals).astype(np.float32)
        np.testing.assert_allclose(read.values, expected, rtol=1.2e-7, atol=0)

    @given(table=tables())
    @property_test
    def test_npz(self, tmp_path: Path, table: VectorTable) -> None:
        write_vectors_npz(tmp_path / "d.text.npz", table.item_ids, table.values)
        read = read_vectors(tmp_path, "d", "text")
        assert read.item_ids.tolist() == table.item_ids.tolist()
        assert (read.values == table.values).all()

    def test_text_over_many_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.round(np.random.default_rng(1).normal(size=(300, 7)), 3)
        write_vectors(tmp_path / "d.text", "text", [f"i{row}" for row in range(300)], values)
        monkeypatch.setattr(vectors, "_BLOCK_BYTES", 100)
        read = read_vectors(tmp_path, "d", "text")
        assert read.item_ids.tolist() == [f"i{row}" for row in range(300)]
        assert (read.values == values.astype(np.float32)).all()

    def test_other_writers(self, tmp_path: Path) -> None:
        write_text(tmp_path, "\ufeff" + HEADER.replace("\n", "\r\n") + "a\t1 2.5\r\n\r\nb b\t-.5 1e-3")
        read = read_vectors(tmp_path, "d", "text")
        assert read.item_ids.tolist() == ["a", "b b"]
        assert read.values.tolist() == [[1.0, 2.5], [-0.5, np.float32(1e-3)]]

    def test_npz_of_integer_ids_and_half_floats(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "d.text.npz", item_id=np.array([7, 3]), vectors=np.array([[1, 2], [3, 4]], np.float16))
        read = read_vectors(tmp_path, "d", "text")
        assert read.item_ids.tolist() == ["7", "3"]
        assert read.values.dtype == np.float32
        assert read.dimension == 2

    @given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-3e38, 3e38)))
    @property_test
    def test_small_and_large_numbers_keep_their_significant_digits(self, tmp_path: Path, values) -> None:
        write_vectors(tmp_path / "d.text", "text", [f"i{n}" for n in range(len(values))], values)
        np.testing.assert_allclose(read_vectors(tmp_path, "d", "text").values, values, rtol=6e-6, atol=2e-38)

    def test_topic_shares_do_not_become_zeros(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).dirichlet(np.full(400, 0.05), size=20)
        write_vectors(tmp_path / "d.text", "text", [f"i{n}" for n in range(20)], values)
        read = read_vectors(tmp_path, "d", "text").values
        assert ((read > 0) == (values > 1e-40)).mean() > 0.99 and np.allclose(read, values, rtol=6e-6, atol=1e-37)

    @pytest.mark.parametrize("value", [0.0, 0.5])
    def test_constant_vectors_are_warned_of(self, tmp_path: Path, caplog, value: float) -> None:
        values = np.random.default_rng(0).normal(size=(6, 4))
        values[[2, 5]] = value
        write_vectors(tmp_path / "d.text", "text", list("abcdef"), values)
        assert read_vectors(tmp_path, "d", "text").values.shape == (6, 4)
        assert "2 of 6 vectors of field 'text' are one value repeated, first item 'c' at line 4" in caplog.text

    def test_a_npy_file_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        np.save(tmp_path / "d.text.npy", np.zeros((3, 2)))
        with pytest.raises(InputError, match="d.text.npy.*holds no item ids.*write_vectors_npz"):
            read_vectors(tmp_path, "d", "text")

    def test_ids_that_are_python_objects_are_refused_with_the_way_out(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "d.text.npz", item_id=np.array(["a", "b"], dtype=object), vectors=np.eye(2))
        with pytest.raises(InputError, match=r"d.text.npz.*Python objects.*dtype=str"):
            read_vectors(tmp_path, "d", "text")

    def test_an_encrypted_archive_is_an_input_error(self, tmp_path: Path) -> None:
        path = tmp_path / "d.text.npz"
        write_vectors_npz(path, ["a", "b"], np.eye(2))
        content = bytearray(path.read_bytes())
        for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = content.find(signature)
            while place >= 0:
                content[place + flags] |= 1
                place = content.find(signature, place + 4)
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"d.text.npz.*encrypted"):
            read_vectors(tmp_path, "d", "text")

    def test_an_oversized_archive_is_an_input_error(self, tmp_path: Path) -> None:
        path = tmp_path / "d.text.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name, shape in (("item_id", (1 << 50,)), ("vectors", (1 << 50, 8))):
                with archive.open(f"{name}.npy", "w") as member:
                    header = {"descr": "<U9", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(member, header)
        with pytest.raises(InputError, match="d.text.npz"):
            read_vectors(tmp_path, "d", "text")

    def test_equal_numbers_are_equal_text(self, tmp_path: Path) -> None:
        write_vectors(tmp_path / "d.text", "text", ["a", "b"], np.array([[-0.0001], [0.0001]]), decimals=3)
        assert (tmp_path / "d.text").read_text() == HEADER + "a\t0.000\nb\t0.000\n"


class TestAlign:
    @given(table=tables(), data=st.data())
    @property_test
    def test_the_order_of_rows_does_not_matter(self, table: VectorTable, data: st.DataObject) -> None:
        order = data.draw(st.permutations(range(len(table.item_ids))))
        known = data.draw(st.lists(st.sampled_from(table.item_ids.tolist()), min_size=1, unique=True))
        token2id = {"[PAD]": 0, **{token: i for i, token in enumerate([*known, "elsewhere"], start=1)}}
        values, present = align(table, token2id, len(token2id))
        permuted = VectorTable(table.item_ids[order], table.values[order])
        for one, other in zip((values, present), align(permuted, token2id, len(token2id)), strict=True):
            assert (one == other).all()
        assert present.tolist() == [False, *[True] * len(known), False]
        for row, token in enumerate(table.item_ids.tolist()):
            if token in known:
                assert (values[token2id[token]] == table.values[row]).all()
        assert (values[~present] == 0).all()

    def test_unknown_items_are_ignored_and_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        table = VectorTable(np.array(["x", "b"]), np.array([[9.0], [2.0]], np.float32))
        with caplog.at_level(logging.INFO, "recbole_mm"):
            values, present = align(table, {"[PAD]": 0, "a": 1, "b": 2}, 3)
        assert values.tolist() == [[0.0], [0.0], [2.0]]
        assert present.tolist() == [False, False, True]
        assert "1 of 2 vectors" in caplog.text

    def test_a_vector_for_the_padding_token_is_not_present(self) -> None:
        table = VectorTable(np.array(["[PAD]", "a"]), np.ones((2, 1), np.float32))
        values, present = align(table, {"[PAD]": 0, "a": 1}, 2)
        assert not present[0]
        assert values[0] == 0

    def test_no_common_item(self) -> None:
        table = VectorTable(np.array(["x"]), np.ones((1, 1), np.float32))
        with pytest.raises(InputError, match=r"none of the 1 item ids.*'x'"):
            align(table, {"[PAD]": 0, "a": 1}, 2)


class TestWrongText:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("", "line 1: field 'text' needs the header"),
            ("a\t1 2\n", "line 1: field 'text' needs the header"),
            ("item_id:token\tvideo_vec:float_seq\na\t1\n", "found 'item_id:token\\tvideo_vec:float_seq'"),
            (HEADER, "no rows"),
            (HEADER + "\n\n", "no rows"),
            (HEADER + "a\t1 2\nb\t1\n", "line 3: field 'text' has 1 values, the first row has 2"),
            (HEADER + "a\t1 2\n\nb\t1 2 3\nc\t1\n", "line 4: field 'text' has 3 values"),
            (HEADER + "a\t1 2\nb\t1  2\n", "line 3: field 'text' has 3 values"),
            (HEADER + "a\t1 2\nb\t1 x\n", "line 3: value 2 of field 'text' is 'x', not a number"),
            (HEADER + "a\t1 2\nb\t1 \n", "line 3: value 2 of field 'text' is '', not a number"),
            (HEADER + "a\t\n", "line 2: value 1 of field 'text' is '', not a number"),
            (HEADER + "a\t1 2\nb 1 2\n", "line 3: field 'text' needs an item id, a tab and the values"),
            (HEADER + "a\t1 2\n\t1 2\n", "line 3: field 'text' needs an item id, a tab and the values"),
            (HEADER + "a\t1\nb\t1\na\t2\n", "field 'text' has item 'a' twice (line 2 and line 4)"),
            (HEADER.encode() + b"\xff\t1\n", "is not UTF-8"),
        ],
    )
    def test_is_named_with_its_place(self, tmp_path: Path, content: str | bytes, expected: str) -> None:
        write_text(tmp_path, content)
        message = error_of(tmp_path)
        assert str(tmp_path / "d.text") in message
        assert expected in message

    def test_line_numbers_hold_in_later_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vectors, "_BLOCK_BYTES", 50)
        write_text(tmp_path, HEADER + "".join(f"i{row}\t1.5 2.5\n" for row in range(100)) + "z\t1.5 oops\n")
        assert "line 102: value 2" in error_of(tmp_path)

    @given(content=st.binary(max_size=60))
    @property_test
    def test_arbitrary_bytes_read_or_are_refused(self, tmp_path: Path, content: bytes) -> None:
        write_text(tmp_path, HEADER.encode() + content)
        try:
            table = read_vectors(tmp_path, "d", "text", non_finite="missing")
        except InputError:
            return  # any other exception fails the test
        assert np.isfinite(table.values).all()
        assert table.values.shape == (len(set(table.item_ids.tolist())), table.dimension)


class TestWrongNpz:
    @pytest.mark.parametrize(
        ("arrays", "expected"),
        [
            ({"item_id": np.array(["a"])}, "an array of field"),
            ({"vectors": np.ones((1, 2))}, "an array of field"),
            ({"item_id": np.array(["a", "b"]), "vectors": np.ones((1, 2))}, "shape (2,), vectors of shape (1, 2)"),
            ({"item_id": np.array(["a"]), "vectors": np.ones(1)}, "vectors of shape (1,)"),
            ({"item_id": np.array([], str), "vectors": np.ones((0, 2))}, "no values"),
            ({"item_id": np.array(["a"]), "vectors": np.array([["1.5"]])}, "vectors of type <U3"),
            ({"item_id": np.array([1.5]), "vectors": np.ones((1, 2))}, "item_id of type float64"),
            (
                {"item_id": np.array(["a", "a"]), "vectors": np.ones((2, 2))},
                "item 'a' twice (row 0 of its arrays and row 1",
            ),
            ({"item_id": np.array(["a"]), "vectors": np.array([[np.nan]])}, "row 0 of its arrays; clean the file"),
        ],
    )
    def test_is_named(self, tmp_path: Path, arrays: dict[str, np.ndarray], expected: str) -> None:
        np.savez(tmp_path / "d.text.npz", **arrays)
        message = error_of(tmp_path)
        assert str(tmp_path / "d.text.npz") in message
        assert expected in message

    def test_pickled_objects_are_never_loaded(self, tmp_path: Path) -> None:
        fired = tmp_path / "fired"
        bomb = np.empty(1, object)
        bomb[0] = _Bomb(str(fired))
        np.savez(tmp_path / "d.text.npz", item_id=bomb, vectors=np.ones((1, 1)))
        assert "cannot be read as npz of plain arrays" in error_of(tmp_path)
        (tmp_path / "d.text.npz").write_bytes(pickle.dumps(_Bomb(str(fired))))
        assert "cannot be read as npz of plain arrays" in error_of(tmp_path)
        assert not fired.exists()

    @pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
    def test_other_files(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "d.text.npz").write_bytes(content)
        assert "cannot be read as npz of plain arrays" in error_of(tmp_path)

    def test_a_bare_npy_and_a_truncated_npz(self, tmp_path: Path) -> None:
        path = tmp_path / "d.text.npz"
        with open(path, "wb") as handle:
            np.save(handle, np.ones(3))
        assert "cannot be read as npz of plain arrays" in error_of(tmp_path)
        write_vectors_npz(path, ["a", "b"], np.ones((2, 50)))
        path.write_bytes(path.read_bytes()[:300])
        assert "cannot be read as npz of plain arrays" in error_of(tmp_path)


class _Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


class TestNonFinite:
    CONTENT = HEADER + "a\t1 2\nb\t1 inf\nc\tnan 2\nd\t3 4\n"

    def test_is_an_error_by_default(self, tmp_path: Path) -> None:
        write_text(tmp_path, self.CONTENT)
        message = error_of(tmp_path)
        assert "2 of 4 rows of field 'text' hold inf or nan, first item 'b' at line 3" in message
        assert message.endswith("clean the file or set non_finite_vectors: missing")

    def test_missing_drops_the_rows_with_one_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        write_text(tmp_path, self.CONTENT)
        with caplog.at_level(logging.WARNING, "recbole_mm"):
            table = read_vectors(tmp_path, "d", "text", non_finite="missing")
        assert table.item_ids.tolist() == ["a", "d"]
        assert table.values.tolist() == [[1, 2], [3, 4]]
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    def test_what_overflows_float32_is_not_finite(self, tmp_path: Path) -> None:
        write_text(tmp_path, HEADER + "a\t1e39\n")
        assert "inf or nan" in error_of(tmp_path)
        np.savez(tmp_path / "d.x.npz", item_id=["a"], vectors=np.array([[1e39]]))
        with pytest.raises(InputError, match="inf or nan"):
            read_vectors(tmp_path, "d", "x")

    def test_nothing_left(self, tmp_path: Path) -> None:
        write_text(tmp_path, HEADER + "a\tnan\n")
        assert "no vector is left" in error_of(tmp_path, non_finite="missing")

    def test_unknown_choice(self, tmp_path: Path) -> None:
        assert "error, missing" in error_of(tmp_path, non_finite="zero")


class TestFinding:
    def test_absent_field_names_those_there_are(self, tmp_path: Path) -> None:
        write_text(tmp_path, HEADER, field="txet")
        (tmp_path / "d.item").touch()
        message = error_of(tmp_path)
        assert "fields found there: txet." in message
        assert "Did you mean 'txet'?" in message

    def test_absent_folder(self, tmp_path: Path) -> None:
        assert "no folder" in error_of(tmp_path / "nowhere")

    def test_two_forms_of_one_field(self, tmp_path: Path) -> None:
        write_vectors(tmp_path / "d.text", "text", ["a"], np.ones((1, 1)))
        write_vectors_npz(tmp_path / "d.text.npz", ["a"], np.ones((1, 1)))
        assert "remove one" in error_of(tmp_path)


class TestWriting:
    @pytest.mark.parametrize(
        ("item_ids", "values", "expected"),
        [
            (["a"], np.ones((2, 2)), r"shape \[1, d\]"),
            ([], np.ones((0, 2)), "shape"),
            (["a"], np.array([[np.inf]]), "inf or nan"),
            (["a", "a"], np.ones((2, 1)), "twice"),
            (["a\tb"], np.ones((1, 1)), "tab or line break"),
            ([""], np.ones((1, 1)), "empty"),
        ],
    )
    def test_refuses_what_could_not_be_read(self, tmp_path: Path, item_ids: list, values: np.ndarray, expected: str):
        with pytest.raises(InputError, match=expected):
            write_vectors(tmp_path / "d.text", "text", item_ids, values)
        with pytest.raises(InputError, match=expected):
            write_vectors_npz(tmp_path / "d.text.npz", item_ids, values)
        assert list(tmp_path.iterdir()) == []

    def test_an_interrupted_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("old")
        with pytest.raises(KeyboardInterrupt), writing(path) as temporary:
            _write_half(temporary)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    path.write_text("half")
    raise KeyboardInterrupt
