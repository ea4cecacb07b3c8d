"""What the benchmarks share."""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("PEERS_HOME") or Path.home() / ".cache/relata-peers")
PYTHON = HOME / "venv/bin/python"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release"


def measured(command, **settings):
    """Runs a command; its seconds, its peak memory in MB, and what it printed."""
    with tempfile.TemporaryFile() as out:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, **settings)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        out.seek(0)
        text = out.read().decode()
    if status != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{text}")
    return seconds, usage.ru_maxrss / 1024, text


def megabytes(path):
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
