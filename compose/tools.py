"""Runs a program from PyPI, pinned by a file of requirements, and installed for it once: tools.py FILE PROGRAM [ARG...]"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def install(requirements, folder):
    """Some systems have Python without pip, some without venv."""
    python, target = sys.executable, ["--target", str(folder)]
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode:
        subprocess.run([python, "-m", "venv", folder], check=True)
        python, target = folder / "bin/python", []
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
         *target, "-r", requirements],
        check=True, stdout=sys.stderr, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"})


def main():
    """Each set of requirements has a folder of its own under ~/.cache/tributary/tools."""
    requirements, program, *arguments = sys.argv[1:]
    name = hashlib.sha256(Path(requirements).read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = Path.home() / ".cache/tributary/tools" / name
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder.with_suffix(".whole")
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder)
            install(requirements, folder)
            whole.touch()
    os.environ["PYTHONPATH"] = str(folder)
    os.execv(folder / "bin" / program, [program, *arguments])


main()
