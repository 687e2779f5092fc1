"""Says what libsolv and createrepo_c read of lists of packages, for the comparison with elsewhere.

Reads `primary.xml` documents from the directory named first, `0.xml` to `N.xml` of the number named
second, and writes a JSON line for each: what libsolv (by dnf's hawkey) and createrepo_c make of it.
Each is a list of packages, or null where it refuses the document.
"""

import ctypes
import json
import os
import sys
import warnings
from xml.etree import ElementTree

import hawkey

warnings.simplefilter("ignore")

KINDS = [
    "requires",
    "provides",
    "conflicts",
    "obsoletes",
    "recommends",
    "suggests",
    "supplements",
    "enhances",
]
COMMON = "{http://linux.duke.edu/metadata/common}"
RPM = "{http://linux.duke.edu/metadata/rpm}"
BASE = "{http://www.w3.org/XML/1998/namespace}base"


def by_libsolv(path, directory):
    """What libsolv reads, in the words of its library."""
    repomd = directory + "/repomd.xml"
    with open(repomd, "w", encoding="utf-8") as file:
        file.write("<repomd/>")
    sack = hawkey.Sack(cachedir=directory + "/cache", arch="x86_64")
    repository = hawkey.Repo("r")
    repository.repomd_fn = repomd
    repository.primary_fn = path
    try:
        sack.load_repo(repository, build_cache=False)
    except Exception:
        return None
    return [libsolv_package(package) for package in hawkey.Query(sack)]


def libsolv_package(package):
    """A package of libsolv's."""
    found = {kind: [str(relation) for relation in getattr(package, kind)] for kind in KINDS}
    # Those of scriptlets are in both lists.
    found["scriptlets"] = [str(relation) for relation in package.requires_pre]
    checksum = package.chksum
    return found | {
        "name": package.name,
        "arch": package.arch,
        "evr": package.evr,
        "location": package.location,
        "base": package.baseurl,
        "checksum": checksum and hawkey.chksum_name(checksum[0]) + ":" + checksum[1].hex(),
        "size": package.downloadsize,
        "installed": package.installsize,
        "files": sorted(package.files),
    }


class Createrepo:
    """createrepo_c's library, as far as it is needed."""

    PACKAGE = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    )

    def __init__(self):
        for version in ["0", "1"]:
            try:
                self.library = ctypes.CDLL("libcreaterepo_c.so." + version)
            except OSError:
                continue
        self.library.cr_xml_dump_primary.restype = ctypes.c_void_p
        glib = ctypes.CDLL("libglib-2.0.so.0")
        # It writes to standard error what it returns as well.
        self.silent = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(lambda *_: None)
        glib.g_log_set_default_handler(self.silent, None)

    def read(self, path):
        """What it reads of a document: it writes each package as its own metadata."""
        found = []

        def take(package, _, error):
            text = self.library.cr_xml_dump_primary(ctypes.c_void_p(package), None)
            found.append(ctypes.string_at(text).decode("utf-8"))
            self.library.cr_package_free(ctypes.c_void_p(package))
            return 0

        error = ctypes.c_void_p()
        arguments = [path.encode(), None, None, self.PACKAGE(take), None, None, None, 1]
        status = self.library.cr_xml_parse_primary(*arguments, ctypes.byref(error))
        return [createrepo_package(text) for text in found] if status == 0 else None


def createrepo_package(text):
    """A package of createrepo_c's."""
    head = '<m xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm">'
    package = ElementTree.fromstring(head + text + "</m>")[0]
    section = package.find(COMMON + "format")

    def entries(kind):
        found = section.find(RPM + kind)
        return [] if found is None else [entry.attrib for entry in found]

    version = package.find(COMMON + "version").attrib
    location = package.find(COMMON + "location").attrib
    checksum = package.find(COMMON + "checksum")
    size = package.find(COMMON + "size").attrib
    return {kind: entries(kind) for kind in KINDS} | {
        "name": package.findtext(COMMON + "name"),
        "arch": package.findtext(COMMON + "arch"),
        "epoch": version.get("epoch"),
        "version": version.get("ver"),
        "release": version.get("rel"),
        "location": location.get("href"),
        "base": location.get(BASE),
        "checksum": checksum.get("type") + ":" + (checksum.text or ""),
        "size": int(size["package"]),
        "installed": int(size["installed"]),
    }


def main():
    directory, count = sys.argv[1], int(sys.argv[2])
    createrepo = Createrepo()
    for number in range(count):
        path = os.path.join(directory, f"{number}.xml")
        answer = {"libsolv": by_libsolv(path, directory), "createrepo": createrepo.read(path)}
        print(json.dumps(answer))


main()
