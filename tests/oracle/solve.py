"""Lets dnf choose packages for many cases, for the comparison with elsewhere's resolver.

Reads a JSON list of cases from the file named first and writes a JSON list of answers to standard
output. A case names its directory (for dnf's cache and an empty or prepared installation root),
its repositories, the module streams to enable, the packages that are installed and the
specifications to install. An answer has `chosen` (full names) or `problem`.
"""

import json
import os
import subprocess
import sys

import dnf
import dnf.exceptions
import dnf.module.module_base
import rpm

FLAGS = {"<": rpm.RPMSENSE_LESS, ">": rpm.RPMSENSE_GREATER, "=": rpm.RPMSENSE_EQUAL}
HEADER_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"


def header(package):
    """An installed package as its RPM header, with provides and files only."""
    made = rpm.hdr()
    made["name"] = package["name"]
    made["epoch"] = package["epoch"]
    made["version"] = package["version"]
    made["release"] = package["release"]
    made["arch"] = package["arch"]
    made["os"] = "linux"
    # Without one it would count as a source package.
    made["sourcerpm"] = "host.src.rpm"
    provides = [(name, operator, evr) for name, operator, evr in package["provides"]]
    made["providename"] = [name for name, _, _ in provides]
    made["provideflags"] = [sum(FLAGS[sign] for sign in operator) for _, operator, _ in provides]
    made["provideversion"] = [evr for _, _, evr in provides]
    if package["files"]:
        directories = sorted({os.path.dirname(path) + "/" for path in package["files"]})
        made["basenames"] = [os.path.basename(path) for path in package["files"]]
        made["dirnames"] = directories
        made["dirindexes"] = [
            directories.index(os.path.dirname(path) + "/") for path in package["files"]
        ]
    return HEADER_MAGIC + made.unload()


def prepare_root(root, installed):
    """Makes an installation root whose RPM database holds these packages."""
    rpmdb = ["rpmdb", "--root", root]
    subprocess.run(rpmdb + ["--initdb"], check=True)
    headers = b"".join(header(package) for package in installed)
    subprocess.run(rpmdb + ["--importdb"], input=headers, check=True)


def prepared_base(case):
    """dnf with the case's repositories and installed packages loaded."""
    root = case["directory"] + "/root"
    os.makedirs(root)
    os.makedirs(case["directory"] + "/log")
    if case["installed"]:
        prepare_root(root, case["installed"])
    base = dnf.Base()
    base.conf.installroot = root
    base.conf.cachedir = case.get("cache", case["directory"] + "/cache")
    base.conf.persistdir = case["directory"] + "/persist"
    base.conf.logdir = case["directory"] + "/log"
    base.conf.module_platform_id = "platform:el8"
    base.conf.substitutions["arch"] = "x86_64"
    base.conf.substitutions["basearch"] = "x86_64"
    base.conf.substitutions["releasever"] = "8"
    base.conf.install_weak_deps = False
    base.conf.best = True
    for repository in case["repositories"]:
        base.repos.add_new_repo(
            repository["id"],
            base.conf,
            baseurl=["file://" + repository["path"]],
            priority=repository["priority"],
            skip_if_unavailable=False,
        )
    base.fill_sack(load_system_repo=bool(case["installed"]))
    found = {package.name for package in base.sack.query().installed()}
    wanted = {package["name"] for package in case["installed"]}
    if found != wanted:
        raise RuntimeError(f"installed are {sorted(found)} instead of {sorted(wanted)}")
    return base


def solve(case):
    """dnf's answer to a case."""
    base = prepared_base(case)
    try:
        if case["streams"]:
            dnf.module.module_base.ModuleBase(base).enable(case["streams"])
        for specification in case["install"]:
            base.install(specification)
        base.resolve()
        if base.transaction is None:
            return {"chosen": []}
        if base.transaction.remove_set:
            return {"problem": "would remove " + str(base.transaction.remove_set)}
        return {"chosen": sorted(str(package) for package in base.transaction.install_set)}
    except dnf.exceptions.Error as error:
        return {"problem": str(error)}
    finally:
        base.close()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    json.dump([solve(case) for case in cases], sys.stdout)


main()
