"""Programs out of Debian's packages for any architecture, without touching the machine's own apt."""

import os
import subprocess
import sys
from pathlib import Path

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Debian's names of architectures.
NAMES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "s390x": "s390x", "i386": "i386"}


def program(cache, arch, package, path):
    """The file `path` of `package` for `arch`, fetched and unpacked below `cache` once."""
    place = cache / NAMES[arch] / package
    found = place / path
    if not found.exists():
        place.mkdir(parents=True, exist_ok=True)
        print(f"fetching Debian's {package} for {arch}", flush=True)
        apt = update(cache, arch)
        quietly([*apt, "download", f"{package}:{NAMES[arch]}"], cwd=place)
        [archive] = place.glob("*.deb")
        quietly(["dpkg-deb", "-x", archive, place])
        archive.unlink()
    return found


def update(cache, arch):
    """`apt-get` with lists and sources of its own, up to date."""
    state = cache / NAMES[arch] / "apt"
    sources = state / "sources.list"
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "APT::Architecture": NAMES[arch],
        "APT::Architectures": NAMES[arch],
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q"]
    for name, value in settings.items():
        apt += ["-o", f"{name}={value}"]
    for directory in ["lists/partial", "cache/archives/partial"]:
        (state / directory).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    quietly([*apt, "update"])
    return apt


def mirror():
    """The mirror of Debian that the machine uses."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        for line in file.read_text().splitlines() if file.is_file() else []:
            for word in line.split() if not line.lstrip().startswith("#") else []:
                if "://" in word and word.rstrip("/").endswith("/debian"):
                    return word
    sys.exit("no mirror of Debian stands in /etc/apt: add one to sources.list")


def quietly(command, cwd=None):
    environment = {**os.environ, "LC_ALL": "C"}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{command[0]} failed: {ended.stderr}")
