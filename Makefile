# Four commands, each of which does all of its own set-up from a clean clone on Debian:
#
#   make demo    build, install from a mirror of real programs, and run what was installed
#   make test    every test, with the real programs too
#   make bare    a static program installs on hosts that have nothing: roots of three Debian releases
#   make dist    all of a release, built twice, compared and tried out; signed where there is a key
#
# As root they install the Debian packages that are missing; otherwise they name them.

.POSIX:
.PHONY: all bare demo dist test setup-bare setup-demo setup-dist setup-ci setup-test clean

# A compiler for the other architecture of the demo.
MACHINE != uname -m
CROSS_aarch64 = gcc-x86-64-linux-gnu libc6-dev-amd64-cross
CROSS_x86_64 = gcc-aarch64-linux-gnu libc6-dev-arm64-cross

DEMO_PACKAGES = gcc libc6-dev $(CROSS_$(MACHINE)) dpkg apt debian-archive-keyring ca-certificates
# Linkers and architectures beside those of the demo: tests/linkers.rs.
LINK_PACKAGES = chrpath gcc-powerpc64le-linux-gnu gcc-s390x-linux-gnu libc6-dev-ppc64el-cross \
	libc6-dev-s390x-cross lld mold patchelf
TEST_PACKAGES = $(DEMO_PACKAGES) $(LINK_PACKAGES) bash binutils binutils-aarch64-linux-gnu busybox \
	createrepo-c curl dash dnf fakeroot fish gnupg golang-go ksh lmod mandoc minisign mksh openssl \
	python3 python3-dnf python3-rpm qemu-user rpm shellcheck skopeo sqv strace tcsh uidmap util-linux wget \
	yash zsh

DIST_PACKAGES = $(DEMO_PACKAGES) apt binutils cargo-web coreutils curl dash git libllvm22 minisign \
	openssl python3 python3-venv rust-web-src rustc-web util-linux wget

# The suites are those that tests/e2e/bare.rs knows.
BARE_SUITES = bullseye bookworm trixie
BARE_PACKAGES = $(DIST_PACKAGES) mmdebstrap strace

# What .ci/run asks of the machine itself: it tests in one that it makes.
CI_PACKAGES = gcc git libc6-dev mmdebstrap shellcheck util-linux

INSTALL_MISSING = \
	missing=; \
	for package in $$PACKAGES; do \
		dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q ' installed$$' \
			|| missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		apt-get -q update && apt-get -qy install --no-install-recommends $$missing; \
	else \
		echo "These Debian packages are missing. As root, type:" >&2; \
		echo "    apt-get install --no-install-recommends$$missing" >&2; \
		exit 1; \
	fi

all:
	cargo build --locked

demo: setup-demo
	cargo build --locked --example demo --bin elsewhere
	target/debug/examples/demo

# docs/release.md says more. The mirror that the demo makes is what releases are tried out with.
dist: setup-dist
	if [ ! -e target/el-mirror/default/stamp ]; then $(MAKE) demo; fi
	dist/build --twice --check $$([ -n "$$MINISIGN_SECRET_KEY" ] || echo --trial)

bare: setup-bare
	dist/build --quick --arch $(MACHINE)
	for suite in $(BARE_SUITES); do \
		rm -rf --one-file-system target/quick/$$suite && .ci/root $$suite target/quick/$$suite || exit 1; \
	done
	rm -rf --one-file-system target/quick/trixie-uidmap && .ci/root trixie target/quick/trixie-uidmap uidmap
	BARE_HOSTS=$(CURDIR)/target/quick cargo test --locked --features real-tools --test e2e -- \
		--ignored --nocapture --test-threads 1 bare:: podman::

# Tests say aloud what they cannot try here, and note it in this file.
NOT_TRIED = target/tmp/not-tried

test: setup-test
	rm -f $(NOT_TRIED)
	cargo test --locked --no-fail-fast --features real-tools
	cargo test --locked --features real-tools --test catalog -- --ignored
	@if [ -s $(NOT_TRIED) ]; then echo; echo "All that was tried is well. On this machine:"; \
		sort -u $(NOT_TRIED) | sed 's/^/    /'; fi

setup-bare:
	@PACKAGES="$(BARE_PACKAGES)"; $(INSTALL_MISSING)

setup-ci:
	@PACKAGES="$(CI_PACKAGES)"; $(INSTALL_MISSING)

setup-demo:
	@PACKAGES="$(DEMO_PACKAGES)"; $(INSTALL_MISSING)

setup-dist:
	@PACKAGES="$(DIST_PACKAGES)"; $(INSTALL_MISSING)

setup-test:
	@PACKAGES="$(TEST_PACKAGES)"; $(INSTALL_MISSING)

clean:
	cargo clean
