"""Fetching a file over HTTP: with a progress bar, going on where an earlier try broke off, checked before it counts."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recbole_mm import __version__
from recbole_mm.errors import InputError

TRIES = 5
_PAUSE_SECONDS = 2.0
_TIMEOUT_SECONDS = 60
_BLOCK_BYTES = 1 << 20
_BROKEN_OFF = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch; size (bytes) and MD5 are None where its publisher does not say."""

    url: str
    name: str
    size: int | None = None
    md5: str | None = None


def fetch(remote: RemoteFile, folder: Path, without_network: str) -> Path:
    """Fetch the file into ``folder`` and print its size and checksums; one that is there and right is left alone.

    What has arrived is kept in ``<name>.part``, so a broken download goes on from there, in this call and the next.

    Args:
        without_network: what to do on a machine without a network; part of the error then.

    Raises:
        InputError: the server cannot be reached or refuses, or the file arrived with the wrong size or checksum (it is
            removed).
    """
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    if not target.is_file():
        _check_room(remote, part)
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                _fetch_rest(remote, part)
                break
            except urllib.error.HTTPError as error:
                raise InputError(
                    f"{remote.url}: the server answers {error.code} {error.reason}. {without_network}"
                ) from None
            except _BROKEN_OFF as error:
                if not tries_left:
                    raise InputError(_broken_off(remote, part, error, without_network)) from None
                time.sleep(_PAUSE_SECONDS)
            except OSError as error:
                raise InputError(
                    f"{part}: cannot be written ({error.strerror or error}); what has arrived is kept: make room and "
                    f"type the command again to go on"
                ) from None
        _check(remote, part)
        os.replace(part, target)
    else:
        _check(remote, target)
    return target


def fetch_json(url: str, without_network: str) -> Any:
    """A small JSON document.

    Raises:
        InputError: the server cannot be reached, or answers something else.
    """
    try:
        with urllib.request.urlopen(_request(url), timeout=_TIMEOUT_SECONDS) as response:
            return json.load(response)
    except (*_BROKEN_OFF, ValueError) as error:
        raise InputError(f"{url}: cannot be read ({_reason(error)}). {without_network}") from None


def _request(url: str, headers: dict[str, str] | None = None) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": f"recbole-mm/{__version__}", **(headers or {})})


def _fetch_rest(remote: RemoteFile, part: Path) -> None:
    """Append to ``part`` what it lacks; a server that cannot resume sends everything again."""
    have = part.stat().st_size if part.is_file() else 0
    if remote.size is not None and have >= remote.size:
        return
    request = _request(remote.url, {"Range": f"bytes={have}-"} if have else None)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing is missing, or the part is of another file, which the checks will tell
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        expected = int(length) if length else None
        start = have if resumed else 0
        with (
            open(part, "ab" if resumed else "wb") as handle,
            tqdm(
                total=None if expected is None else start + expected,
                initial=start,
                desc=remote.name[:40],
                unit="B",
                unit_scale=True,
                disable=None,
            ) as bar,
        ):
            while block := response.read(_BLOCK_BYTES):
                handle.write(block)
                bar.update(len(block))
            arrived = handle.tell() - start
    if expected is not None and arrived < expected:  # read() ends quietly where a connection is cut
        raise http.client.IncompleteRead(b"", expected - arrived)


def _check_room(remote: RemoteFile, part: Path) -> None:
    if remote.size is None:
        return
    missing = remote.size - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise InputError(
            f"{part.parent}: {missing:,} bytes of {remote.name} are to be fetched, but {free:,} are free; make room or "
            f"choose another folder (--source)"
        )


def _check(remote: RemoteFile, path: Path) -> None:
    size, md5, sha256 = path.stat().st_size, hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            md5.update(block)
            sha256.update(block)
    wrong = []
    if remote.size is not None and size != remote.size:
        wrong.append(f"has {size:,} bytes instead of {remote.size:,}")
    if remote.md5 is not None and md5.hexdigest() != remote.md5:
        wrong.append(f"has MD5 {md5.hexdigest()} instead of {remote.md5}")
    if wrong:
        path.unlink()
        raise InputError(f"{path}: {' and '.join(wrong)}; it was removed: type the command again to fetch it anew")
    said = "as published" if remote.md5 is not None else "the publisher gives none to compare"
    print(f"{path.parent / remote.name}: {size:,} bytes, MD5 {md5.hexdigest()} ({said}), SHA-256 {sha256.hexdigest()}")


def _broken_off(remote: RemoteFile, part: Path, error: Exception, without_network: str) -> str:
    have = part.stat().st_size if part.is_file() else 0
    if have:
        return (
            f"{remote.url}: broke off {TRIES} times ({_reason(error)}); {have:,} bytes are in {part}: type the command "
            f"again to go on from there"
        )
    return f"{remote.url}: cannot be reached ({_reason(error)}). {without_network}"


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", "") or error).split()) or type(error).__name__
