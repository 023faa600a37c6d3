"""What the environment says: which binary, how much, how patient."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def _path(name: str, default: str) -> Path:
    path = Path(os.environ.get(name, default))
    return path if path.is_absolute() else ROOT / path


BINARY = _path("SALLYPORT_BIN", "build/dev/sallyport")
# Clients and libraries of the tests in C, built by tests/e2e/CMakeLists.txt.
TOOLS = _path("E2E_TOOLS", "build/dev/tests/e2e")
SCALE = float(os.environ.get("E2E_SCALE", "1"))
SLOWDOWN = float(os.environ.get("E2E_SLOWDOWN", "1"))


def scaled(n: int, least: int = 1) -> int:
    """A count or size that sanitizer runs make smaller."""
    return max(least, int(n * SCALE))


def patience(seconds: float) -> float:
    """A generous upper bound; a sanitizer makes it longer."""
    return seconds * SLOWDOWN
