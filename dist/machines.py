"""Machines that are as poor as can be: chroots with hardly a file, for any processor.

Only for a process in user, mount and network namespaces of its own.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import debian

# What binfmt_misc is told of each processor's programs, after "\x7fELF".
MAGIC = {
    "x86_64": rb"\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00",
    "aarch64": rb"\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    "ppc64le": rb"\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00",
    "s390x": rb"\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16",
}
MASKS = {
    "<": rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
    ">": rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff",
}
LIBC = ctypes.CDLL(None, use_errno=True)
# Linux's numbers: <linux/sched.h>, <linux/mount.h>, <asm/unistd.h>.
CLONE_NEWNS, MS_BIND, MS_REC, MNT_DETACH = 0x20000, 0x1000, 0x4000, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217}
# What install.sh asks of a machine, and nothing more.
TOOLS = "cat chmod cp mkdir mktemp mv od rm uname sha256sum sleep"


def prepare(cache, arches, here):
    """Brings the loopback interface up, and lets programs for `arches` run by themselves."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", 1)
        fcntl.ioctl(any_socket, 0x8914, up)
    foreign = [arch for arch in arches if arch != here]
    if not foreign:
        return
    place = "/proc/sys/fs/binfmt_misc"
    subprocess.run(["mount", "-t", "binfmt_misc", "none", place], check=True)
    for arch in foreign:
        qemu = debian.program(cache, here, "qemu-user-static", f"usr/bin/qemu-{arch}-static")
        # P: programs see the name they were called by, which busybox lives on. F: the kernel opens qemu
        # now, so that chroots need no copy. Its path must hold no colon.
        mask = MASKS[">" if arch == "s390x" else "<"]
        rule = rb":%s:M::\x7fELF%s:%s:%s:PF" % (arch.encode(), MAGIC[arch], mask, bytes(qemu))
        Path(place, "register").write_bytes(rule)


def busybox(cache, arch, root):
    """A machine that has busybox, linked statically, and nothing else: no libc, no certificates."""
    static = debian.program(cache, arch, "busybox-static", "bin/busybox")
    skeleton(root)
    shutil.copy(static, root / "bin/busybox")
    native = debian.program(cache, os.uname().machine, "busybox-static", "bin/busybox")
    names = subprocess.run([native, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in names.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    return root


def distribution(fetcher, root):
    """A machine that has this one's glibc, dash and coreutils, and `fetcher`."""
    skeleton(root)
    wanted = set(packaged_libraries("libc6"))
    for name in [*TOOLS.split(), "dash", fetcher]:
        path = shutil.which(name, path="/usr/bin:/bin")
        shutil.copy(path, root / "bin" / name)
        wanted.update(needed_libraries(path))
    for library in wanted:
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (root / "bin/sh").symlink_to("dash")
    return root


def empty(program, root):
    """A machine that has only the program."""
    skeleton(root)
    (root / "bin").rmdir()
    shutil.copy(program, root / "elsewhere")
    return root


def skeleton(root):
    for name in ["bin", "dev", "etc", "opt", "proc", "root", "tmp"]:
        (root / name).mkdir(parents=True)


def packaged_libraries(package):
    """A package's own libraries: glibc's are many, and all of them are on every machine."""
    listing = subprocess.run(["dpkg", "-L", package], check=True, stdout=subprocess.PIPE, text=True)
    paths = listing.stdout.split()
    return [path for path in paths if "/lib" in path and ".so" in path and Path(path).is_file()]


def needed_libraries(path):
    listing = subprocess.run(["ldd", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [word for word in listing.split() if word.startswith("/")]


def enter(root, mirror, certificate):
    """Mounts what a chroot needs, and puts in what the packages of `mirror` are proved by."""
    for name in ["dev", "proc"]:
        subprocess.run(["mount", "--rbind", f"/{name}", root / name], check=True)
    shutil.copytree(mirror / "repos", root / "repos")
    shutil.copy(certificate, root / "etc/authority.pem")
    (root / "etc/wgetrc.authority").write_text("ca_certificate = /etc/authority.pem\n")


def put(root, name, text):
    (root / name).write_text(text)


def run(root, inner, variables, by_shell=True):
    """Runs `inner` by the machine's sh, or word by word, with these variables and no others."""
    words = ["/bin/sh", "-c", inner] if by_shell else inner.split()
    fixed = {"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/root", **variables}
    fixed["SOURCE_DATE_EPOCH"] = "1000000000"
    return subprocess.run(
        words,
        env=fixed,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        preexec_fn=lambda: move_to(root),
    )


def move_to(root):
    """Makes `root` the root of this process. After chroot(2) there could be no user namespaces."""
    path = os.fsencode(root)
    call("unshare", CLONE_NEWNS)
    call("mount", path, path, None, MS_BIND | MS_REC, None)
    os.chdir(path)
    call("syscall", PIVOT_ROOT[os.uname().machine], b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def call(name, *words):
    if getattr(LIBC, name)(*words) != 0:
        raise OSError(ctypes.get_errno(), f"{name} failed")


def leftovers(root):
    return sorted(path.name for path in (root / "tmp").iterdir())


def digest_of(prefix):
    """One digest of names, modes, links and contents of the trees and launchers in a prefix."""
    digest = hashlib.sha256()
    for part in ["bin", "x86_64/", "aarch64/"]:
        for directory, directories, files in os.walk(prefix / part):
            directories.sort()
            for name in sorted(directories + files):
                path = Path(directory) / name
                content = b""
                if path.is_symlink():
                    content = os.readlink(path).encode()
                elif path.is_file():
                    content = path.read_bytes()
                mode = path.lstat().st_mode
                digest.update(f"{path.relative_to(prefix)} {mode:o} {len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()
