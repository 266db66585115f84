# SPDX-License-Identifier: Apache-2.0
"""Files of workloads/ that the analysis reads itself."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def read(path: Path, failure: type[Exception]) -> dict[str, Any]:
    """The file's tables; `failure` in one line where it is no TOML. OSError as it comes."""
    with path.open("rb") as stream:
        try:
            return tomllib.load(stream)
        except tomllib.TOMLDecodeError as error:
            raise failure(f"{path}: {error}") from error
