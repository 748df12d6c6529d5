"""Downloads over HTTP: with a progress bar, resumed after an interruption, and checked when complete."""

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
_INTERRUPTIONS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


@dataclass(frozen=True)
class RemoteFile:
    """A file to download; size (bytes) and MD5 are None where the publisher does not state them."""

    url: str
    name: str
    size: int | None = None
    md5: str | None = None


def fetch(remote: RemoteFile, folder: Path, without_network: str) -> Path:
    """Download the file into ``folder`` if it is not there, and print its size and checksums.

    Bytes that have arrived are kept in ``<name>.part``: an interrupted download continues from there, in this call or
    a later one.

    Args:
        without_network: what to do on a machine without a network; added to the error message.

    Raises:
        InputError: the server cannot be reached or refuses, or the file has the wrong size or checksum (the file is
            then removed).
    """
    target, part = folder / remote.name, folder / f"{remote.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    if not target.is_file():
        _check_free_space(remote, part)
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                _fetch_rest(remote, part)
                break
            except urllib.error.HTTPError as error:
                raise InputError(
                    f"{remote.url}: the server answers {error.code} {error.reason}. {without_network}"
                ) from None
            except _INTERRUPTIONS as error:
                if not tries_left:
                    raise InputError(_interrupted(remote, part, error, without_network)) from None
                time.sleep(_PAUSE_SECONDS)
            except OSError as error:
                raise InputError(
                    f"{part}: cannot be written ({error.strerror or error}); the bytes received so far are kept: free "
                    f"some space and type the command again to continue"
                ) from None
        _check(remote, part)
        os.replace(part, target)
    else:
        _check(remote, target)
    return target


def fetch_json(url: str, without_network: str) -> Any:
    """A small JSON document.

    Raises:
        InputError: the server cannot be reached, or its answer is not JSON.
    """
    try:
        with urllib.request.urlopen(_request(url), timeout=_TIMEOUT_SECONDS) as response:
            return json.load(response)
    except (*_INTERRUPTIONS, ValueError) as error:
        raise InputError(f"{url}: cannot be read ({_reason(error)}). {without_network}") from None


def _request(url: str, headers: dict[str, str] | None = None) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": f"recbole-mm/{__version__}", **(headers or {})})


def _fetch_rest(remote: RemoteFile, part: Path) -> None:
    """Append the missing bytes to ``part``; a server that cannot resume sends everything again."""
    have = part.stat().st_size if part.is_file() else 0
    if remote.size is not None and have >= remote.size:
        return
    request = _request(remote.url, {"Range": f"bytes={have}-"} if have else None)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing is missing, or ``part`` belongs to another file: `_check` finds out
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
    if expected is not None and arrived < expected:  # read() raises nothing when the connection is cut
        raise http.client.IncompleteRead(b"", expected - arrived)


def _check_free_space(remote: RemoteFile, part: Path) -> None:
    if remote.size is None:
        return
    missing = remote.size - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise InputError(
            f"{part.parent}: {remote.name} needs {missing:,} more bytes, but {free:,} are free; free some space or "
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
        raise InputError(f"{path}: {' and '.join(wrong)}; it was removed: type the command again to download it again")
    note = "as published" if remote.md5 is not None else "no published MD5 to compare with"
    print(f"{path.parent / remote.name}: {size:,} bytes, MD5 {md5.hexdigest()} ({note}), SHA-256 {sha256.hexdigest()}")


def _interrupted(remote: RemoteFile, part: Path, error: Exception, without_network: str) -> str:
    have = part.stat().st_size if part.is_file() else 0
    if have:
        return (
            f"{remote.url}: interrupted {TRIES} times ({_reason(error)}); {have:,} bytes are in {part}: type the "
            f"command again to continue from there"
        )
    return f"{remote.url}: cannot be reached ({_reason(error)}). {without_network}"


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", "") or error).split()) or type(error).__name__
