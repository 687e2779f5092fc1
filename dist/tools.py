"""The compilers that programs are built by, each of them pinned, and the digest of what they build."""

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

# Debian's compiler: the one whose standard library's source is packaged beside it.
RUSTC = "/usr/bin/rustc"
CARGO = "/usr/bin/cargo"


def prepare(root, directory, strict):
    """Installs zig and cargo-zigbuild, and returns the directory of their programs.

    Debian's compiler must be the one of dist/tools.toml; where that is not `strict`, another is told.
    """
    check_debian(root / "dist/tools.toml", strict)
    requirements = root / "dist/requirements.txt"
    programs = directory / "bin"
    installed = directory / "requirements.txt"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        print("installing zig and cargo-zigbuild", flush=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", directory], check=True)
        subprocess.run(
            [programs / "pip", "-q", "install", "--require-hashes", "--only-binary", ":all:"]
            + ["-r", requirements],
            check=True,
        )
        installed.write_bytes(requirements.read_bytes())
    return programs


def check_debian(pins, strict):
    pinned = tomllib.loads(pins.read_text())
    absent = [name for name, pin in pinned.items() if not Path(pin["path"]).exists()]
    if absent:
        sys.exit(f"missing; as root, type: apt-get install --no-install-recommends {' '.join(absent)}")
    others = [name for name, pin in pinned.items() if digest(Path(pin["path"])) != pin["sha256"]]
    if not others:
        return
    wanted = ", ".join(f"{name} {pinned[name]['version']}" for name in others)
    text = f"these are not what dist/tools.toml pins, so programs may differ in some bytes: {wanted}"
    if strict:
        sys.exit(f"dist/build: {text}\nDebian's snapshot archive has every version")
    print(f"warning: {text}", file=sys.stderr, flush=True)


def digest(path):
    """The SHA-256 of a file, or of names and contents below a directory."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for one in sorted(one for one in path.rglob("*") if one.is_file()):
        whole.update(f"{one.relative_to(path)} {digest(one)}\n".encode())
    return whole.hexdigest()


def source_files(root):
    """The paths of a checkout's files, relative to it: what git knows, and what is new."""
    listing = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(listing, check=True, stdout=subprocess.PIPE).stdout.decode()
    return sorted(name for name in answer.split("\0") if name and (root / name).is_file())


def source_digest(root):
    """One digest of a checkout."""
    whole = hashlib.sha256()
    for name in source_files(root):
        whole.update(f"{name} {digest(root / name)}\n".encode())
    return whole.hexdigest()
