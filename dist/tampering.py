"""What an attacker, or a bad disk, may do to a release: none of it may get as far as running."""

import re
import sys

import machines

LINE = "wget -q -O - {script} | sh -s -- -d el8 --for glibc=2.36 -a aarch64 --repos /repos /opt/tampered"
OTHER = "ELSEWHERE_VERSION=9.9.9 sh /tmp.script -d el8 /opt/tampered"
LIST = "cd /opt && wget -q {base}/SHA256SUMS && wget -q {base}/install.sh && sha256sum -c SHA256SUMS"
UPDATE = "/elsewhere self update --from {base}"


def flip(path, position=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(content)


def programs(site):
    return [path for path in site.file("").iterdir() if re.fullmatch(r"elsewhere-.*-[a-z0-9_]+", path.name)]


def byte_of_program(site):
    for path in programs(site):
        flip(path)


def short_program(site):
    for path in programs(site):
        path.write_bytes(path.read_bytes()[:-1])


def checksum_in_script(site):
    text = re.sub(r"(?m)^(sha256_.*='.*).'$", r"\1z'", site.text())
    site.file("install.sh").write_text(text.replace("z'", "0'"))


def no_checksum_in_script(site):
    site.file("install.sh").write_text(re.sub(r"(?m)^(sha256_.*=').*'$", r"\1'", site.text()))


def short_script(site):
    site.file("install.sh").write_text(site.text()[: len(site.text()) // 2])


def script_of_another_version(site):
    other = site.www / "v9.9.9"
    other.mkdir(exist_ok=True)
    (other / "install.sh").write_text(site.text())


def byte_of_script(site):
    flip(site.file("install.sh"), 40)


def byte_of_list(site):
    flip(site.file("SHA256SUMS"), 3)


# What is changed, how, what is typed then, and a part of the complaint.
CHANGES = {
    "a byte of the program": (byte_of_program, LINE, "its SHA-256 is"),
    "the program without its last byte": (short_program, LINE, "its SHA-256 is"),
    "the checksum in the script": (checksum_in_script, LINE, "its SHA-256 is"),
    "no checksum in the script": (no_checksum_in_script, LINE, "has no program for"),
    "the script cut in half": (short_script, LINE, ""),
    "the script of a version asked for": (script_of_another_version, OTHER, "needs curl"),
    "a byte of the script": (byte_of_script, LIST, "FAILED"),
    "a byte of the list": (byte_of_list, UPDATE, ""),
}


def refused(root, site, change):
    """Types what a user would, and ends here unless it fails and leaves nothing."""
    alter, typed, complaint = change
    machines.put(root, "tmp.script", site.text())
    alter(site)
    base = site.script.rsplit("/", 1)[0]
    ended = machines.run(root, typed.format(script=site.script, base=base), site.environment())
    site.restore()
    told = ended.stdout + ended.stderr
    installed = (root / "opt/tampered").exists() or machines.leftovers(root)
    if ended.returncode == 0 or installed or complaint not in told:
        sys.exit(f"was not refused: {typed}\nended with {ended.returncode}\n{told}")
    return f"refused, status {ended.returncode}"
