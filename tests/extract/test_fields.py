"""The loop around a field: resuming, skipping, scaling and writing, with numbers that are cheap to compute."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from recbole_mm.data import partial
from recbole_mm.data.vectors import read_vectors, write_vectors
from recbole_mm.errors import InputError
from recbole_mm.extract.decode import MediaError
from recbole_mm.extract.fields import Field, Output, extract_field
from recbole_mm.extract.scaling import Scaling, read_scaling
from recbole_mm.extract.sources import Source, Sources, check_known, media_files, media_fingerprint
from recbole_mm.features.encoders import field_encoder_of

VALUES = {"a": [1.0, 5.0], "b": [3.0, 5.0], "c": [8.0, 5.0]}


class Counted:
    """A field whose contents are keys of `VALUES`; counts what is computed."""

    def __init__(self, output: Output, columns: list[str] | None = None) -> None:
        self.output, self.columns, self.computed, self.broken = output, columns, [], set()

    def extract(self, fingerprints: dict[str, str], scaling: Scaling | None = None, shard="0/1", **settings):
        sources = Sources()
        for key, fingerprint in fingerprints.items():
            sources.add(Source(f"m{key}", f"{key}.mp4", key, fingerprint))
        wanted = Field("audio", sources, settings, self._compute, columns=self.columns, scaling=scaling)
        return extract_field(wanted, self.output, shard)

    def _compute(self, keys):
        self.computed += keys
        if self.broken & set(keys):
            raise MediaError("is broken off")
        return [np.array(VALUES[key]) for key in keys]

    def vectors(self):
        table = read_vectors(self.output.folder, "d", "audio")
        return dict(zip(table.item_ids.tolist(), table.values.tolist(), strict=True))


@pytest.fixture
def counted(tmp_path):
    return Counted(Output(tmp_path, "d"))


def test_vectors_are_written_and_nothing_is_computed_twice(counted):
    first = counted.extract({"a": "1", "b": "1"})
    assert (first.movies, first.dimension, first.computed) == (2, 2, 2)
    assert counted.vectors() == {"ma": [1, 5], "mb": [3, 5]}
    again = counted.extract({"a": "1", "b": "1"})
    assert (again.movies, again.computed) == (2, 0) and counted.computed == ["a", "b"]


def test_what_is_new_or_changed_is_computed(counted):
    counted.extract({"a": "1", "b": "1"})
    counted.extract({"a": "1", "b": "2", "c": "1"})
    assert counted.computed == ["a", "b", "b", "c"]
    assert set(counted.vectors()) == {"ma", "mb", "mc"}
    counted.extract({"a": "1", "c": "1"})
    assert set(counted.vectors()) == {"ma", "mc"}


def test_other_settings_begin_anew(counted):
    counted.extract({"a": "1"}, seconds=3)
    counted.extract({"a": "1"}, seconds=4)
    assert counted.computed == ["a", "a"]


def test_an_interruption_keeps_what_is_finished_and_writes_no_vectors(counted, monkeypatch):
    compute = counted._compute

    def interrupted(keys):
        if keys == ["b"]:
            raise KeyboardInterrupt
        return compute(keys)

    monkeypatch.setattr(counted, "_compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counted.extract({"a": "1", "b": "1"})
    assert not counted.output.path("audio").exists()
    monkeypatch.setattr(counted, "_compute", compute)
    assert counted.extract({"a": "1", "b": "1"}).computed == 1
    assert counted.computed == ["a", "b"]


def parts(counted) -> list[Path]:
    return sorted((counted.output.kept / "audio").glob("part-*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no npz"),
        lambda path: np.savez(
            path, settings='{"seconds": 1}', item_id=["ma", "mb"], fingerprint=["1"], vectors=[[9.0]]
        ),
        lambda path: np.savez(path, vectors=np.ones((1, 2))),
        lambda path: np.savez(path, settings=np.array([{}]), item_id=["ma"], fingerprint=["1"], vectors=[[9.0, 9.0]]),
    ],
)
def test_a_damaged_part_is_computed_again(counted, damage):
    counted.extract({"a": "1"}, seconds=1)
    (part,) = parts(counted)
    damage(part)
    counted.extract({"a": "1", "b": "1"}, seconds=1)
    assert counted.computed == ["a", "a", "b"] and counted.vectors() == {"ma": [1, 5], "mb": [3, 5]}
    counted.extract({"a": "1", "b": "1"}, seconds=1)
    assert counted.computed == ["a", "a", "b"] and len(parts(counted)) == 1


def flip_a_byte_of_b(counted) -> None:
    (part,) = parts(counted)
    content = part.read_bytes()
    place = content.index(np.array(VALUES["b"]).tobytes())
    part.write_bytes(content[:place] + b"X" + content[place + 1 :])


def test_damaged_vectors_are_computed_again(counted):
    counted.extract({"a": "1", "b": "1"})
    flip_a_byte_of_b(counted)
    assert counted.extract({"a": "1", "b": "1"}).computed == 2
    assert counted.vectors() == {"ma": [1, 5], "mb": [3, 5]} and len(parts(counted)) == 1
    assert counted.extract({"a": "1", "b": "1"}).computed == 0


def test_damage_found_late_is_one_line(counted):
    counted.extract({"a": "1", "b": "1"})
    results = partial.PartialResults(counted.output.kept / "audio", {})
    flip_a_byte_of_b(counted)
    with pytest.raises(InputError, match=r"part-\w+.npz: is damaged \(.*\); remove it, and the same command"):
        list(results.blocks([("ma", "1"), ("mb", "1")]))


class TestAFolderInWhichAnotherProcessWrites:
    """A shard that is still at work replaces its file by a longer one; that is no damage."""

    @pytest.fixture
    def shard(self, tmp_path, monkeypatch):
        monkeypatch.setattr(partial, "SECONDS", 0)  # a file after each call
        shard = partial.PartialResults(tmp_path, {})
        shard.add(["a"], ["1"], np.array([VALUES["a"]]))
        return shard

    def test_what_was_replaced_is_read_from_the_longer_file(self, shard, tmp_path):
        merge = partial.PartialResults(tmp_path, {})
        shard.add(["b"], ["1"], np.array([VALUES["b"]]))
        (values,) = merge.blocks([("a", "1")])
        assert values.tolist() == [VALUES["a"]]

    def test_a_file_replaced_while_the_folder_is_read_is_no_damage(self, shard, tmp_path, monkeypatch):
        read, calls = partial.read_arrays, []

        def slow(path, names):
            if not calls:
                calls.append(path)
                shard.add(["b"], ["1"], np.array([VALUES["b"]]))
            return read(path, names)

        monkeypatch.setattr(partial, "read_arrays", slow)
        merge = partial.PartialResults(tmp_path, {})
        assert merge.has("a", "1") and merge.has("b", "1")
        merge.remove_damaged()
        assert len(list(tmp_path.glob("part-*"))) == 1

    def test_files_that_are_gone_are_not_called_damaged(self, shard, tmp_path):
        merge = partial.PartialResults(tmp_path, {})
        next(tmp_path.glob("part-*")).unlink()
        with pytest.raises(InputError, match="were removed while they were read, or a shard is still at work; run the"):
            list(merge.blocks([("a", "1")]))


def test_vectors_are_in_a_file_after_a_time_and_a_number_of_rows(counted, monkeypatch):
    monkeypatch.setattr(partial, "ROWS", 2)
    monkeypatch.setattr(partial, "SECONDS", 0)
    seen, compute = [], counted._compute

    def watched(keys):
        seen.append(len(parts(counted)))
        return compute(keys)

    monkeypatch.setattr(counted, "_compute", watched)
    counted.extract({"a": "1", "b": "1", "c": "1"})
    assert seen == [0, 1, 1] and len(parts(counted)) == 2  # one file grows to two rows, then the next one begins
    assert counted.vectors() == {"ma": [1, 5], "mb": [3, 5], "mc": [8, 5]}


class TestShards:
    def test_they_share_the_work_and_a_call_for_all_writes(self, counted):
        both = {"a": "1", "b": "1", "c": "1"}
        for shard, computed in (("0/2", 2), ("1/2", 1)):
            found = counted.extract(both, shard=shard)
            assert (found.path, found.movies, found.computed) == (None, computed, computed)
            assert not counted.output.path("audio").exists()
        assert counted.computed == ["a", "c", "b"]
        assert counted.extract(both).computed == 0
        assert counted.vectors() == {"ma": [1, 5], "mb": [3, 5], "mc": [8, 5]}

    @pytest.mark.parametrize("npz", [False, True])
    @pytest.mark.parametrize("columns", [None, ["x", "y"]])
    def test_folders_copied_together_equal_one_run(self, tmp_path, npz, columns):
        both = {"a": "1", "b": "1", "c": "1"}
        one, merged = (Counted(Output(tmp_path / name, "d", npz=npz), columns) for name in ("one", "merged"))
        one.extract(both)
        for shard in ("0/2", "1/2"):
            alone = Counted(Output(tmp_path / shard[0], "d", npz=npz), columns)
            alone.extract(both, shard=shard)
            shutil.copytree(alone.output.kept, merged.output.kept, dirs_exist_ok=True)
        merged.extract(both)
        assert merged.computed == []
        assert merged.output.path("audio").read_bytes() == one.output.path("audio").read_bytes()

    def test_a_shard_may_have_nothing_and_keeps_the_results_of_other_settings(self, counted):
        counted.extract({"a": "1"}, seconds=3)
        assert counted.extract({"a": "1"}, shard="1/2", seconds=4).movies == 0
        assert counted.extract({"a": "1"}, shard="0/2", seconds=4).movies == 1
        assert len(parts(counted)) == 2
        merged = counted.extract({"a": "1"}, seconds=4)
        assert len(parts(counted)) == 2 and counted.computed == ["a", "a"]
        (note,) = merged.notes
        assert "audio also holds 1 files of other settings (seconds: 3, here: 4)" in note and "\n" not in note
        assert counted.extract({"a": "1"}, seconds=3).computed == 0, "what an option forgotten once has not removed"


def test_broken_sources_are_listed_and_tried_again(counted):
    counted.broken = {"b"}
    found = counted.extract({"a": "1", "b": "1", "c": "1"})
    assert found.skipped == [("b.mp4", "is broken off")] and found.movies == 2
    counted.broken = set()
    assert counted.extract({"a": "1", "b": "1", "c": "1"}).computed == 1


def test_all_broken_is_an_error(counted):
    counted.broken = {"a", "b"}
    with pytest.raises(InputError, match=r"'audio': none of 2 files can be used; the first, a.mp4, is broken off"):
        counted.extract({"a": "1", "b": "1"})
    assert not counted.output.path("audio").exists()


class TestScaling:
    @pytest.fixture
    def scaled(self, tmp_path):
        return Counted(Output(tmp_path, "d"), columns=["x", "y"])

    def test_columns_are_standardised_and_a_constant_one_is_0(self, scaled):
        scaled.extract({"a": "1", "b": "1", "c": "1"})
        raw = np.array([1, 3, 8])
        assert [row[0] for row in scaled.vectors().values()] == pytest.approx((raw - 4) / raw.std(), abs=1e-4)
        assert {row[1] for row in scaled.vectors().values()} == {0}

    def test_later_movies_can_have_the_same_scale(self, scaled, tmp_path):
        scaled.extract({"a": "1", "b": "1"})
        both = scaled.vectors()
        later = Counted(Output(tmp_path / "later", "d"), columns=["x", "y"])
        later.extract({"b": "1"}, scaling=read_scaling(scaled.output.kept / "audio.scaling.csv", ["x", "y"]))
        assert later.vectors()["mb"] == both["mb"]

    def test_one_movie_alone_is_an_error(self, scaled):
        with pytest.raises(InputError, match="one movie alone cannot be scaled; give more movies, --scale-from"):
            scaled.extract({"a": "1"})

    def test_nothing_is_beyond_five_deviations(self):
        scaling = Scaling(np.zeros(1), np.ones(1))
        assert scaling.apply(np.array([[-1e9], [3.0], [1e9]])).ravel().tolist() == [-5, 3, 5]

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "name,mean\nx,1\ny,1\n",
            "name,mean,deviation\nx,1,1\nz,1,1\n",
            "name,mean,deviation\nx,a,1\ny,1,1\n",
            "name,mean,deviation\nx,,1\ny,1,1\n",
        ],
    )
    def test_wrong_files_are_named(self, tmp_path, content):
        (tmp_path / "audio.scaling.csv").write_text(content)
        with pytest.raises(
            InputError, match=r"audio.scaling.csv: does not hold mean and deviation of the 2 columns x … y"
        ):
            read_scaling(tmp_path / "audio.scaling.csv", ["x", "y"])
        with pytest.raises(InputError, match="no such file"):
            read_scaling(tmp_path / "none.csv", ["x", "y"])


class TestOutput:
    def test_vectors_from_elsewhere_are_not_destroyed(self, tmp_path):
        write_vectors(tmp_path / "d.audio", "audio", ["1"], np.ones((1, 2)))
        with pytest.raises(
            InputError, match=r"d.audio: holds vectors of field 'audio' that recbole-mm extract did not make"
        ):
            Output(tmp_path, "d").check("audio")
        Output(tmp_path, "d", force=True).check("audio")
        Output(tmp_path, "d").check("video")

    def test_own_vectors_are_replaced_but_not_in_another_form(self, counted):
        counted.extract({"a": "1"})
        counted.output.check("audio")
        with pytest.raises(InputError, match=r"d.audio: holds field 'audio' in the other form"):
            Output(counted.output.folder, "d", npz=True).check("audio")

    def test_npz(self, tmp_path):
        counted = Counted(Output(tmp_path, "d", npz=True))
        counted.extract({"a": "1", "b": "1"})
        assert counted.output.path("audio").name == "d.audio.npz"
        assert counted.vectors() == {"ma": [1, 5], "mb": [3, 5]}


class TestMediaFiles:
    def test_stems_are_item_ids_and_other_files_are_passed_over(self, tmp_path):
        for name in ("2.MP4", "1.mkv", "1.avi", "notes.txt", ".3.mp4", "a.b.mp4"):
            (tmp_path / name).write_text("x")
        (tmp_path / "folder.mp4").mkdir()
        sources = media_files(tmp_path, "video", (".mp4", ".mkv", ".avi"))
        assert [source.item_id for source in sources.usable] == ["1", "2", "a.b"]
        assert sources.skipped == [("1.mkv", "item '1' has 1.avi already")]

    @pytest.mark.parametrize("size", [0, 1_000, 768 << 10, 3_000_000])
    def test_a_copy_has_the_same_fingerprint_and_another_content_has_not(self, tmp_path, size):
        content = bytearray(np.random.default_rng(0).bytes(size))
        first, copy = tmp_path / "1.mp4", tmp_path / "copy.mp4"
        first.write_bytes(content)
        shutil.copyfile(first, copy)
        os.utime(copy, (1, 1))
        assert media_fingerprint(copy) == media_fingerprint(first)
        for place in (0, size // 2, size - 1) if size else ():
            changed = bytearray(content)
            changed[place] ^= 1
            copy.write_bytes(changed)
            assert media_fingerprint(copy) != media_fingerprint(first)
        copy.write_bytes(content + b"x")
        assert media_fingerprint(copy) != media_fingerprint(first)

    def test_a_file_that_cannot_be_read_is_skipped(self, tmp_path, monkeypatch):
        def refuse(path):
            if path.name == "1.mp4":
                raise PermissionError(13, "Permission denied")
            return "f"

        monkeypatch.setattr("recbole_mm.extract.sources.media_fingerprint", refuse)
        for name in ("1.mp4", "2.mp4"):
            (tmp_path / name).write_text("x")
        sources = media_files(tmp_path, "video", (".mp4",))
        assert [source.item_id for source in sources.usable] == ["2"]
        assert sources.skipped == [("1.mp4", "cannot be read (Permission denied)")]
        (tmp_path / "2.mp4").unlink()
        with pytest.raises(InputError, match=r"none of 1 files can be used; the first, 1.mp4, cannot be read"):
            media_files(tmp_path, "video", (".mp4",))

    def test_a_missing_or_empty_folder_is_named(self, tmp_path):
        with pytest.raises(InputError, match="--video=.*none: no such folder"):
            media_files(tmp_path / "none", "video", (".mp4",))
        (tmp_path / "1.txt").write_text("x")
        with pytest.raises(InputError, match="--video=.*: no media file there; each must be named ITEM_ID"):
            media_files(tmp_path, "video", (".mp4",))


def test_ids_are_compared_with_the_dataset(planted):
    def sources(*item_ids):
        found = Sources()
        for item_id in item_ids:
            found.add(Source(item_id, f"{item_id}.mp4", None, ""))
        return found

    assert check_known(sources("m1", "m2"), "video", planted.folder, "planted") is None
    note = check_known(sources("m1", "x"), "video", planted.folder, "planted")
    assert note == "1 of 2 ids (first: 'x') are not in planted.item"
    with pytest.raises(InputError, match=r"--video: none of 2 item ids \(first: 'x' of x.mp4\) is in .*planted.item"):
        check_known(sources("x", "y"), "video", planted.folder, "planted")
    assert check_known(sources("x"), "video", planted.folder, "no dataset") is None


def test_a_column_of_rounding_noise_is_constant_for_the_kept_encoder_too():
    """Its deviation, 1e-54, is 0 in the single precision of a kept encoder, which divided by it."""
    values = np.array([[1e-53, 1.0], [2e-53, 3.0], [9e-53, 8.0]])
    scaling = Scaling.of(values)
    kept = field_encoder_of(scaling.encoder().to_bytes(), "kept", "")
    assert (scaling.apply(values)[:, 0] == 0).all()
    assert kept(values.tolist()) == pytest.approx(scaling.apply(values), abs=1e-6)
