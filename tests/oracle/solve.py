"""Lets dnf choose packages for many cases, for the comparison with elsewhere's resolver.

Reads a JSON list of cases from the file named first and writes a JSON list of answers to standard
output. A case names its directory (for dnf's cache and an empty or prepared installation root),
its repositories, the module streams to enable, the packages that are installed and the
specifications to install. An answer has `chosen` (full names, each with its repository) or `problem`.
A case with `each`, a list of such lists of specifications, is answered by a list of answers. With
`host` the installed packages are the newest of these names in the repositories.
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


def described(package):
    """A package of a repository as `header` takes it."""
    provides = []
    for provide in package.provides:
        name, *bound = str(provide).split(" ")
        provides.append([name, *(bound or ["", ""])])
    return {
        "name": package.name,
        "epoch": package.epoch,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "provides": provides,
        "files": list(package.files),
    }


def host_packages(case):
    """The newest packages of the names that the case's host has."""
    base = configured_base(case, "look")
    base.fill_sack(load_system_repo=False)
    found = base.sack.query().filterm(name=case["host"], arch=["x86_64", "noarch"], latest=True)
    described_all = [described(package) for package in found]
    base.close()
    return described_all


def prepared_base(case):
    """dnf with the case's repositories and installed packages loaded."""
    if "host" in case:
        case["installed"] = host_packages(case)
    base = configured_base(case, "root")
    if case["installed"]:
        prepare_root(base.conf.installroot, case["installed"])
    base.fill_sack(load_system_repo=bool(case["installed"]))
    found = {package.name for package in base.sack.query().installed()}
    wanted = {package["name"] for package in case["installed"]}
    if found != wanted:
        raise RuntimeError(f"installed are {sorted(found)} instead of {sorted(wanted)}")
    return base


def configured_base(case, root):
    """dnf with the case's repositories, and an empty root of this name."""
    root = case["directory"] + "/" + root
    os.makedirs(root)
    os.makedirs(case["directory"] + "/log", exist_ok=True)
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
            cost=repository.get("cost", 1000),
            skip_if_unavailable=False,
        )
    return base


def enable(base, streams):
    """Enables module streams. That a default stream of another module is then not active, because it
    needs another one of these, is told as an error after it was done."""
    try:
        dnf.module.module_base.ModuleBase(base).enable(streams)
    except dnf.exceptions.MarkingErrors as error:
        if error.error_group_specs or error.no_match_group_specs:
            raise


def answer(base, specifications):
    """What dnf chooses for these specifications."""
    try:
        for specification in specifications:
            base.install(specification)
        base.resolve()
        if base.transaction is None:
            return {"chosen": []}
        if base.transaction.remove_set:
            return {"problem": "would remove " + str(base.transaction.remove_set)}
        chosen = base.transaction.install_set
        return {"chosen": sorted(f"{package}@{package.reponame}" for package in chosen)}
    except dnf.exceptions.Error as error:
        return {"problem": str(error)}


def solve(case):
    """dnf's answer to a case."""
    base = prepared_base(case)
    try:
        if case["streams"]:
            enable(base, case["streams"])
        if "each" not in case:
            return answer(base, case["install"])
        answers = []
        for specifications in case["each"]:
            base.reset(goal=True)
            answers.append(answer(base, specifications))
        return answers
    except dnf.exceptions.Error as error:
        return {"problem": str(error)}
    finally:
        base.close()


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    json.dump([solve(case) for case in cases], sys.stdout)


main()
