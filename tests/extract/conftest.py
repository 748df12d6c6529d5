from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clips import write_media


@pytest.fixture
def write_clip() -> Callable[..., Path]:
    """Writes a media file; skips the test where PyAV is not installed."""
    pytest.importorskip("av", reason="av (extra 'extract') is not installed")
    return write_media
