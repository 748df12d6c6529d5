from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_mm.config import Config
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
        (lambda p: rewrite(p / "planted.inter", "timestamp", "rating"), "field 'rating' stands twice"),
        (lambda p: rewrite(p / "planted.item", "class:", "klass:"), "no field 'class'.*Did you mean 'klass'"),
    ],
)
def test_damage_is_named(planted, damage, message):
    damage(planted.folder)
    with pytest.raises(InputError, match=message):
        check(planted)


def rewrite(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))
