from __future__ import annotations

import string

import pytest
from conftest import write_atomic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_mm.config.config import Config
from recbole_mm.data.atomic import TYPES, check_atomic_files, read_header
from recbole_mm.errors import InputError

NAMES = st.text(string.ascii_letters + string.digits + "_. ", min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, st.sampled_from(TYPES)), min_size=1, max_size=5, unique_by=lambda c: c[0]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_well_formed_header_is_read(tmp_path, columns):
    path = tmp_path / "x.inter"
    path.write_text("\t".join(f"{name}:{kind}" for name, kind in columns) + "\n1\t2\n")
    assert read_header(path) == dict(columns)


@given(st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_first_line_is_an_error_naming_the_file(tmp_path, line):
    path = tmp_path / "x.inter"
    path.write_text(line + "\n", encoding="utf-8", newline="")
    fields, message = {}, ""
    try:
        fields = read_header(path)
    except InputError as error:
        message = str(error)
    assert bool(fields) != bool(message)
    assert all(kind in TYPES for kind in fields.values())
    assert not message or ("x.inter: " in message and "\n" not in message)


def check(planted, **options):
    check_atomic_files(Config("MMFS", planted.name, config_dict=planted.options(**options)))


def test_good_files_pass(planted):
    check(planted)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda p: (p / "planted.inter").unlink(), "planted.inter: no such file"),
        (lambda p: (p / "planted.item").unlink(), r"planted.item: no such file.*load_col"),
        (lambda p: rewrite(p / "planted.inter", "rating:float", "stars:float"), "no field 'rating' in the header"),
        (lambda p: rewrite(p / "planted.inter", "rating:float", "rating"), "column 'rating' is not 'name:type'"),
        (lambda p: rewrite(p / "planted.inter", "rating:float", "rating:int"), "column 'rating:int' is not"),
        (lambda p: rewrite(p / "planted.inter", "timestamp", "rating"), "field 'rating' is twice"),
        (lambda p: rewrite(p / "planted.item", "class:", "klass:"), "no field 'class'.*Did you mean 'klass'"),
    ],
)
def test_damage_is_named(planted, damage, message):
    damage(planted.folder)
    with pytest.raises(InputError, match=message):
        check(planted)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("\t5.0\t", "\tgood\t", r"planted.inter: line \d+: rating is 'good', but must be a number, from 1 to 5"),
        ("\t5.0\t", "\t\t", r"planted.inter: line \d+: rating is ''"),
        ("\t5.0\t", "\tnan\t", r"planted.inter: line \d+: rating is 'nan'"),
        ("\t5.0\t", "\tinf\t", r"planted.inter: line \d+: rating is 'inf'"),
        ("\t5.0\t", "\t9\t", r"planted.inter: line \d+: rating is '9'.*option rating_scale"),
        ("\t5.0\t", "\t5.0\tx\t", r"planted.inter: line 3 has 5 columns, the header has 4"),
        ("rating:float", "rating:token", "field 'rating' is of type token, but must be rating:float"),
        ("item_id:token", "item_id:float", "field 'item_id' is of type float, but must be item_id:token"),
        ("user_id:token", "\ufeffuser_id:token", "begins with a byte order mark"),
    ],
)
def test_bad_rows_are_named_by_line(planted, old, new, message):
    rewrite(planted.folder / "planted.inter", old, new)
    with pytest.raises(InputError, match=message):
        check(planted, rating_scale=[1, 5])


def test_line_number_is_the_one_of_the_file(planted):
    lines = (planted.folder / "planted.inter").read_text().splitlines()
    lines[41] = "u1\tm1\tbad\t1"
    (planted.folder / "planted.inter").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="line 42: rating is 'bad'"):
        check(planted)


def test_an_item_or_user_that_stands_twice_is_an_error(planted):
    lines = (planted.folder / "planted.item").read_text().splitlines()
    (planted.folder / "planted.item").write_text("\n".join([*lines, lines[5]]) + "\n")
    with pytest.raises(InputError, match=r"planted.item: line 92: item_id 'm4' is already on line 6"):
        check(planted)


@pytest.mark.parametrize("value", ["1 x", "1 0.5e", "nan", "1 1e39", "Drama"])
def test_a_list_of_numbers_that_holds_none_is_named_by_line(planted, value):
    columns = {**planted.item_columns, "sizes:float_seq": ["1 0.5"] * len(planted.tokens)}
    load_col = {"inter": ["user_id", "item_id", "rating"], "item": ["item_id", "sizes"]}
    write_atomic(planted.folder / "planted.item", columns)
    check(planted, load_col=load_col)
    columns["sizes:float_seq"][4] = value
    write_atomic(planted.folder / "planted.item", columns)
    with pytest.raises(InputError, match=r"planted.item: line 6: sizes holds '.*', but a float_seq takes numbers"):
        check(planted, load_col=load_col)
    check(planted, load_col={**load_col, "item": ["item_id", "class"]})  # a column that is not read may hold anything


def test_time_is_needed_only_where_it_orders(planted):
    rewrite(planted.folder / "planted.inter", "timestamp:float", "when:float")
    load_col = {"inter": ["user_id", "item_id", "rating"], "item": ["item_id", "class"]}
    check(planted, load_col=load_col)
    with pytest.raises(InputError, match="no field 'timestamp'"):
        check(planted, load_col=load_col, protocol="temporal")


def test_another_encoding_is_named(planted):
    path = planted.folder / "planted.item"
    path.write_bytes(path.read_text().replace("Movie number 7", "Amélie").encode("latin-1"))
    with pytest.raises(InputError, match=r"planted.item: cannot be read as utf-8 .*--encoding"):
        check(planted)
    check(planted, encoding="latin-1")


def rewrite(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))
