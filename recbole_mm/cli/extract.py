"""``recbole-mm extract``: make vector files from summaries and trailers."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_mm.errors import InputError, when_stopped

if TYPE_CHECKING:
    from recbole_mm.extract.fields import Extracted, Field, Output

_TEXTS_AT_A_TIME = 32
HELP = "make vector files from summaries and trailers"


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description = "Make vector files from summaries and trailers. A media file's stem is its movie's item_id."
    parser.add_argument("--texts", type=Path, metavar="CSV", help="summaries: columns item_id, text (UTF-8)")
    parser.add_argument("--audio", type=Path, metavar="FOLDER", help="files whose sound is used: ITEM_ID.mp4, .mp3, …")
    parser.add_argument("--video", type=Path, metavar="FOLDER", help="files whose pictures are used: ITEM_ID.mp4, …")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="files are called NAME.text, NAME.audio, …")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where they go (default: dataset/NAME)")
    parser.add_argument("--npz", action="store_true", help="write the compact form, NAME.text.npz, …")
    parser.add_argument("--force", action="store_true", help="replace vectors that were not made by this command")
    parser.add_argument(
        "--genres", type=Path, metavar="FILE", help=".item file whose genres are masked in the texts, too"
    )
    parser.add_argument("--genre-field", default="class", metavar="COLUMN", help="its column (default: class)")
    parser.add_argument("--text-encoder", metavar="NAME", help="sentence encoder (default: all-MiniLM-L6-v2)")
    for kind in ("audio", "video"):
        parser.add_argument(
            f"--{kind}-encoder",
            metavar="NAME_OR_FOLDER",
            help=f"pretrained transformers model for --{kind} (default: statistics)",
        )
    parser.add_argument("--device", metavar="NAME", help="where encoders compute: cpu, cuda, cuda:1 (default: a GPU)")
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="texts, pictures or windows of sound encoded at once (default: 32 texts, 16)",
    )
    parser.add_argument(
        "--shard",
        metavar="i/n",
        help="compute the i-th of n shares alone, counted from 0; --shard left out: all, and write",
    )
    parser.add_argument("--seconds", type=float, help="use only the first seconds of each media file")
    parser.add_argument("--raw", action="store_true", help="audio and video numbers in their units, not standardised")
    parser.add_argument(
        "--scale-from", type=Path, metavar="FOLDER", help="standardise as an earlier run did: its folder extract.NAME"
    )


def run(options: argparse.Namespace) -> int:
    """Extract what the options ask for and print what came of it; returns the exit status 0.

    Raises:
        InputError: wrong input, or nothing of a field could be used (other fields are written nevertheless).
    """
    from recbole_mm.data.shards import ALL
    from recbole_mm.extract.fields import Output, extract_field

    output = Output(options.out or Path("dataset") / options.dataset, options.dataset, options.npz, options.force)
    failures = []
    for wanted in _fields(options, output):
        try:
            with when_stopped(lambda: "finished movies are kept; the same command goes on with the others"):
                extracted = extract_field(wanted, output, options.shard or ALL)
        except InputError as error:
            failures.append(str(error))
        except OSError as error:
            raise InputError(f"cannot write to {output.folder}: {error}; choose another folder (--out)") from None
        else:
            _print(extracted)
    if failures:
        raise InputError("; ".join(failures))
    return 0


def _fields(options: argparse.Namespace, output: Output) -> list[Field]:
    """The fields asked for, with all input checked that can be checked before the work begins."""
    if not (options.texts or options.audio or options.video):
        raise InputError("nothing to extract: give --texts=CSV, --audio=FOLDER or --video=FOLDER, or several of them")
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise InputError(f"--seconds={options.seconds:g}: must be a number above 0")
    if options.raw and options.scale_from:
        raise InputError("--raw and --scale-from exclude each other: leave one out")
    if not options.texts and (options.genres or options.text_encoder):
        raise InputError("--genres and --text-encoder belong to texts: give --texts=CSV, or leave them out")
    for kind in ("audio", "video"):
        if getattr(options, f"{kind}_encoder") and not getattr(options, kind):
            raise InputError(f"--{kind}-encoder belongs to {kind}: give --{kind}=FOLDER, or leave it out")
    encoders = options.texts or options.audio_encoder or options.video_encoder
    for name, value in (("device", options.device), ("batch-size", options.batch_size)):
        if value is not None and not encoders:
            raise InputError(f"--{name} belongs to encoders: give --texts, --audio-encoder or --video-encoder too")
    if options.batch_size is not None and options.batch_size < 1:
        raise InputError(f"--batch-size={options.batch_size}: must be at least 1")
    from recbole_mm.data.shards import ALL, parse_shard
    from recbole_mm.extract.device import check_device
    from recbole_mm.extract.sources import check_known

    parse_shard(options.shard or ALL)
    if encoders:
        options.device = check_device(options.device)
    fields = [make(options) for name, make in _MAKERS.items() if getattr(options, name)]
    for wanted in fields:
        output.check(wanted.name)
        note = check_known(wanted.sources, wanted.name, output.folder, output.dataset)
        wanted.notes += [note] if note else []
    return fields


def _texts(options: argparse.Namespace) -> Field:
    from recbole_mm.extract.fields import Field
    from recbole_mm.extract.text import genre_names, read_texts
    from recbole_mm.features.encoders import embedding_encoder
    from recbole_mm.features.sentence_encoder import PACKAGED, encoder_settings, load_encoder

    genres = genre_names(options.genres, options.genre_field) if options.genres else []
    sources, note = read_texts(options.texts, genres)
    name = options.text_encoder or PACKAGED
    encoder = load_encoder(name, options.device)
    batch_size = options.batch_size or _TEXTS_AT_A_TIME

    def encode(texts: list[str]):
        return encoder.encode(texts, batch_size=batch_size, show_progress_bar=False)

    settings = encoder_settings(name, encoder)
    field = Field("text", sources, settings, encode, batch_size=batch_size, notes=[note])
    if name == PACKAGED:
        field.encoder = embedding_encoder(encode(["a"]).shape[1], genres)
    return field


def _audio(options: argparse.Namespace) -> Field:
    from recbole_mm.extract import audio
    from recbole_mm.extract.decode import AUDIO_SUFFIXES

    return _media(options, "audio", AUDIO_SUFFIXES, audio.audio_statistics, audio.SETTINGS, audio.COLUMNS)


def _video(options: argparse.Namespace) -> Field:
    from recbole_mm.extract import video
    from recbole_mm.extract.decode import VIDEO_SUFFIXES

    return _media(options, "video", VIDEO_SUFFIXES, video.video_statistics, video.SETTINGS, video.COLUMNS)


def _media(options: argparse.Namespace, name: str, suffixes, compute, settings: dict, columns: list[str]) -> Field:
    """The field by ``compute``, or by the pretrained encoder if one is named."""
    from recbole_mm.extract.decode import require_av
    from recbole_mm.extract.fields import Field
    from recbole_mm.extract.scaling import read_scaling
    from recbole_mm.extract.sources import media_files

    require_av()
    sources = media_files(getattr(options, name), name, suffixes)
    scaling = None
    if named := getattr(options, f"{name}_encoder"):
        from recbole_mm.extract.pretrained import BATCH_SIZE, ENCODERS

        encoder = ENCODERS[name](named, options.device, options.batch_size or BATCH_SIZE)
        compute, settings, columns = encoder.vector, encoder.settings, None  # all in one unit, as a text's: not scaled
    elif options.scale_from:
        scaling = read_scaling(options.scale_from / f"{name}.scaling.csv", columns)
    return Field(
        name,
        sources,
        {**settings, "seconds": options.seconds},
        lambda paths: [compute(path, options.seconds) for path in paths],
        columns=None if options.raw else columns,
        scaling=scaling,
    )


# Option -> its field. Texts come last: the packaged text encoder shuts the hub for what is loaded after it.
_MAKERS = {"audio": _audio, "video": _video, "texts": _texts}


def _print(extracted: Extracted) -> None:
    came = f"({extracted.computed:,} computed, {extracted.movies - extracted.computed:,} kept from before)"
    if extracted.path is None:
        remedy = "when all shards are done, the same command without --shard writes the vectors"
        print(f"{extracted.name}: {extracted.movies:,} movies of this shard {came}; {remedy}")
    else:
        print(f"{extracted.path}: {extracted.movies:,} movies, {extracted.dimension} numbers each {came}")
    for note in extracted.notes:
        print(f"  {note}")
    if extracted.skipped:
        print(f"recbole-mm: warning: {len(extracted.skipped)} skipped for field '{extracted.name}':", file=sys.stderr)
        for name, reason in extracted.skipped:
            print(f"  {name}: {reason}", file=sys.stderr)
