#!/bin/sh
# Fetches the program `elsewhere`, checks it, and lets it install. `sh install.sh --help` says more.
#
# POSIX sh. All of it is in braces, and the shell must see the one that closes before it runs any of
# it: a download that was cut short does nothing. In the repository this is a template, and
# `make dist` fills in version and checksums.
{
set -fu
unset CDPATH

version='@VERSION@'
sha256_x86_64='@SHA256_x86_64@'
sha256_aarch64='@SHA256_aarch64@'
sha256_ppc64le='@SHA256_ppc64le@'
sha256_s390x='@SHA256_s390x@'
# Tried in this order; the files of a release are in BASE/vVERSION/.
default_bases='https://github.com/elsewhere-rpm/elsewhere/releases/download'

usage() {
    cat <<'END'
Installs container runtimes from Enterprise Linux packages, without root, in any directory.

  install.sh [--from DIR|URL] [-e] [-d dist] [-o] [-a arch] [-v version] installpath
  install.sh [--from DIR|URL]

With an installpath, fetches the program `elsewhere` and runs `elsewhere install` with all these
words, and any other that it takes: see `elsewhere install --help`. Without any, puts only the
program into ~/.local/bin. In place of a file, `curl -fsSL URL | sh -s -- WORDS` does.

  -e            show download errors and retries
  -d dist       where packages come from: el8, el9, debian12 ... [default: what fits here]
  -o            accepted for old scripts: EL packages serve SUSE too
  -a arch       architectures to install for: x86_64,aarch64 ... [default: this machine's]
  -v version    version of the runtime, or a path or URL ending in .rpm [default: the newest]
  --from PLACE  take the program and all packages from this mirror, and ask nothing else: a
                directory, or an https or http URL
  -h, --help    this text

Variables:
  ELSEWHERE_VERSION        version of the program [default: the one that this script came with]
  ELSEWHERE_DOWNLOAD_BASE  https URLs to fetch the program from, tried in order, separated by
                           blanks; its files are in URL/vVERSION/
  ELSEWHERE_INSTALL_DIR    where the program alone goes [default: ~/.local/bin]
  ELSEWHERE_MIRROR         a mirror of the packages, as for `elsewhere install --mirror`
  TMPDIR                   where temporary files go [default: /tmp]
  HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE ...  as curl, wget and elsewhere have them

The exit status is that of `elsewhere`; 1 when it could not be fetched or is not what it must be.
END
}

main() {
    from=
    pass=
    words=$#
    while [ "$words" -gt 0 ]; do
        word=$1
        shift
        words=$((words - 1))
        case $pass$word in
        -h | --help)
            usage
            exit 0
            ;;
        --from)
            [ "$words" -gt 0 ] || fail '--from needs a directory or a URL'
            set_from "$1"
            shift
            words=$((words - 1))
            ;;
        --from=*) set_from "${word#--from=}" ;;
        --)
            pass=yes
            set -- "$@" "$word"
            ;;
        *) set -- "$@" "$word" ;;
        esac
    done
    check_tools
    make_temporary_directory
    find_program
    if [ -z "$program" ]; then
        hand_over "$@"
    elif [ $# -eq 0 ]; then
        install_program
    else
        install_runtime "$@"
    fi
}

# Nothing where a place is meant would be the whole world.
set_from() {
    from=$1
    [ -n "$from" ] || fail '--from needs a directory or a URL'
}

say() {
    printf 'install.sh: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

need() {
    has "$1" || fail "needs $1, $2"
}

check_tools() {
    need cat 'to show what went wrong'
    need uname 'to learn the architecture'
    need mktemp 'to make a temporary directory'
    need mkdir 'to make directories'
    need chmod 'to make the program executable'
    need cp 'to put the program into its place'
    need mv 'to put the program into its place'
    need rm 'to remove temporary files'
}

# Sets `temporary`: a new directory in which programs may run. Many machines forbid that in /tmp.
make_temporary_directory() {
    temporary=
    trap remove_temporary_directory EXIT
    trap 'stop 129' HUP
    trap 'stop 130' INT
    trap 'stop 141' PIPE
    trap 'stop 143' TERM
    for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm "${XDG_RUNTIME_DIR:-}" "${HOME:-}" .; do
        [ -d "$parent" ] || continue
        case $parent in
        /*) ;;
        *) parent=$(cd -- "$parent" && pwd) || continue ;;
        esac
        temporary=$(mktemp -d "$parent/elsewhere.XXXXXXXX" 2>/dev/null) || continue
        if programs_run_in "$temporary"; then
            return
        fi
        remove_temporary_directory
    done
    fail 'no directory can be written in which programs may run (noexec?): name one in TMPDIR'
}

# Ends with the status $1. A trap for EXIT would take it away in mksh.
stop() {
    trap - EXIT
    remove_temporary_directory
    exit "$1"
}

programs_run_in() {
    printf '#!/bin/sh\nexit 0\n' >"$1/try" && chmod 700 "$1/try" && { "$1/try"; } 2>/dev/null
}

remove_temporary_directory() {
    if [ -n "$temporary" ]; then
        rm -rf -- "$temporary"
    fi
    temporary=
}

# Sets `program`: the path of an executable `elsewhere` that is what it must be; nothing when another
# version is wanted.
find_program() {
    program=
    case $version in
    @*) build_program ;;
    "${ELSEWHERE_VERSION:-$version}") obtain_program ;;
    *) ;;
    esac
}

obtain_program() {
    find_architecture
    case $arch in
    x86_64) wanted=$sha256_x86_64 ;;
    aarch64) wanted=$sha256_aarch64 ;;
    ppc64le) wanted=$sha256_ppc64le ;;
    s390x) wanted=$sha256_s390x ;;
    *) wanted= ;;
    esac
    case $wanted in
    '' | *[!0-9a-f]*) fail "release $version has no program for $arch" ;;
    *) ;;
    esac
    program=$temporary/elsewhere
    fetch "elsewhere-$version-$arch" "$program" "$wanted"
    chmod 755 "$program" || fail "cannot make $program executable"
    "$program" --version >/dev/null || fail "the program for $arch does not run here"
}

# In a checkout there is no release to fetch: the program is built.
build_program() {
    case $0 in
    */install.sh | install.sh) checkout=${0%install.sh} ;;
    *) checkout= ;;
    esac
    if ! [ -f "${checkout:-./}Cargo.toml" ] || ! [ -f "$0" ]; then
        fail 'this is the template of the script: take the one that a release has'
    fi
    need cargo 'to build the program in a checkout'
    checkout=$(cd -- "${checkout:-.}" && pwd) || exit 1
    say "building $checkout"
    (cd -- "$checkout" && cargo build --locked --release --bin elsewhere --target-dir target) \
        </dev/null >&2 || fail 'cannot build the program'
    program=$checkout/target/release/elsewhere
}

# Another version has other checksums, and they are in its own script. Of that, nothing but the
# connection says where it comes from.
hand_over() {
    version=$ELSEWHERE_VERSION
    case $version in
    *[!0-9A-Za-z.+-]*) fail "ELSEWHERE_VERSION is no version: $version" ;;
    *) ;;
    esac
    case $from in
    http://*) fail "over http anybody can answer: get the install.sh of $version yourself" ;;
    '' | https://*)
        choose_downloader
        [ "$downloader" = curl ] ||
            fail "needs curl, as wget may leave https: or get the install.sh of $version yourself"
        ;;
    *) ;;
    esac
    fetch install.sh "$temporary/install.sh" ''
    same=
    last=
    while read -r line; do
        if [ "$line" = "version='$version'" ]; then same=yes; fi
        last=$line
    done <"$temporary/install.sh"
    if [ -z "$same" ] || [ "$last" != 'main "$@" || exit 1; }' ]; then
        fail "what was fetched is not the whole install.sh of elsewhere $version"
    fi
    status=0
    sh "$temporary/install.sh" ${from:+--from "$from"} "$@" </dev/null || status=$?
    exit "$status"
}

# Sets `arch` to the architecture of what is installed here. The kernel's is another one under
# qemu and for a 32-bit system; that of the shell's own file is not.
find_architecture() {
    machine=$(uname -m)
    arch=
    bits=
    if has od; then
        # In an ELF file: class and byte order at 4 and 5, machine at 18.
        # shellcheck disable=SC2046 # words are wanted
        set -- $(od -A n -t x1 -N 6 /bin/sh) $(od -A n -t x1 -j 18 -N 2 /bin/sh)
        case $* in
        '7f 45 4c 46 02 01 3e 00') arch=x86_64 ;;
        '7f 45 4c 46 02 01 b7 00') arch=aarch64 ;;
        '7f 45 4c 46 02 01 15 00') arch=ppc64le ;;
        '7f 45 4c 46 02 02 00 16') arch=s390x ;;
        '7f 45 4c 46 01 '*) bits=32 ;;
        *) ;;
        esac
    fi
    if [ -z "$arch" ]; then
        find_architecture_by_loader
    fi
    if [ -z "$arch" ]; then
        case $machine in
        x86_64 | amd64) arch=x86_64 ;;
        aarch64 | arm64) arch=aarch64 ;;
        ppc64le | s390x) arch=$machine ;;
        *) fail "there is no program for this machine ($machine${bits:+, a $bits-bit system})" ;;
        esac
        if [ -n "$bits" ]; then
            say "this is a $bits-bit system on a $arch kernel: the runtime may not find its libc"
        fi
    fi
}

# Sets `arch` where the loader of just one architecture is installed.
find_architecture_by_loader() {
    loaders=
    if [ -e /lib64/ld-linux-x86-64.so.2 ]; then loaders="$loaders x86_64"; fi
    if [ -e /lib/ld-linux-aarch64.so.1 ]; then loaders="$loaders aarch64"; fi
    if [ -e /lib64/ld64.so.2 ]; then loaders="$loaders ppc64le"; fi
    if [ -e /lib/ld64.so.1 ]; then loaders="$loaders s390x"; fi
    loaders=${loaders# }
    case $loaders in
    *' '*) ;;
    *) arch=$loaders ;;
    esac
}

# Fetches the file $1 of the release to the path $2, from the first place that has it; with the
# SHA-256 $3, unless that is empty.
fetch() {
    name=$1
    output=$2
    sum=$3
    set --
    case $from in
    '')
        for base in ${ELSEWHERE_DOWNLOAD_BASE:-$default_bases}; do
            case $base in
            https://*) set -- "$@" "${base%/}/v$version/$name" ;;
            *) fail "ELSEWHERE_DOWNLOAD_BASE must be https URLs, not $base" ;;
            esac
        done
        [ $# -gt 0 ] || fail 'ELSEWHERE_DOWNLOAD_BASE names no URL'
        download_any "$@" ||
            fail "cannot fetch $name: is there a way to the network, or a proxy to be named in HTTPS_PROXY?"
        ;;
    http://* | https://*)
        from=${from%/}
        download_any "$from/$name" "$(mirrored "$from")/$name" ||
            fail "$(shown "$from") has no $name"
        ;;
    *)
        from=${from#file://}
        [ -d "$from" ] || fail "--from: there is no directory $from"
        for place in "$from/$name" "$(mirrored "$from")/$name"; do
            if [ -f "$place" ]; then
                say "taking $place"
                cp -- "$place" "$output" || fail "cannot copy $place"
                has_sum "$output" || fail 'nothing was run'
                return
            fi
        done
        fail "$from has no $name"
        ;;
    esac
}

# Where the mirror $1 keeps what the first base has: at its host and path, as for packages.
mirrored() {
    mirrored_base=${default_bases%% *}
    printf '%s\n' "$1/${mirrored_base#https://}/v$version"
}

# Downloads the first of the URLs that can be had to the path $output. All are tried three times.
download_any() {
    choose_downloader
    for attempt in 1 2 3; do
        for place in "$@"; do
            if download "$place" "$output" && has_sum "$output"; then
                return
            fi
        done
        if [ "$attempt" -lt 3 ]; then
            say 'trying again'
            if has sleep; then sleep "$attempt"; fi
        fi
    done
    return 1
}

# Sets `downloader`. A snap's curl cannot write where it is told to.
choose_downloader() {
    downloader=
    if has curl; then
        case $(command -v curl) in
        */snap/*) ;;
        *) downloader=curl ;;
        esac
    fi
    if [ -z "$downloader" ]; then
        has wget || fail 'needs curl (not the one of snap) or wget, to fetch the program'
        downloader=wget
    fi
}

# Downloads the URL $1 to the path $2.
download() {
    say "fetching $(shown "$1")"
    if [ "$downloader" = curl ]; then
        download_by_curl "$1" "$2"
    else
        download_by_wget "$1" "$2"
    fi
}

# The URL $1 without a name and password.
shown() {
    scheme=${1%%://*}
    rest=${1#*://}
    authority=${rest%%/*}
    printf '%s\n' "$scheme://${authority##*@}${rest#"$authority"}"
}

download_by_curl() {
    url=$1
    output=$2
    case $url in
    https://*) set -- --proto '=https' ;;
    *) set -- --proto '=http,https' ;;
    esac
    # That of the oldest EL does not know it.
    if curl --tlsv1.2 --version >/dev/null 2>&1; then set -- "$@" --tlsv1.2; fi
    # Not every curl reads the variable by itself.
    if [ -n "${SSL_CERT_FILE:-}" ] && [ -z "${CURL_CA_BUNDLE:-}" ]; then
        set -- "$@" --cacert "$SSL_CERT_FILE"
    fi
    curl "$@" --fail --silent --show-error --location --max-redirs 5 \
        --connect-timeout 20 --speed-limit 1024 --speed-time 30 --output "$output" "$url" </dev/null
}

download_by_wget() {
    url=$1
    output=$2
    set --
    # The oldest EL does not know them all. busybox knows none, and crashes on -T with https.
    for option in --secure-protocol=TLSv1_2 --tries=1 --max-redirect=5 --timeout=30 --no-verbose \
        ${SSL_CERT_FILE:+"--ca-certificate=$SSL_CERT_FILE"}; do
        if wget "$option" --version >/dev/null 2>&1; then set -- "$@" "$option"; fi
    done
    # GNU wget would tell no error with -q, and every success without.
    [ $# -gt 0 ] || set -- -q
    # It knows the variable in small letters only. For https, busybox's knows none.
    https_proxy=${https_proxy:-${HTTPS_PROXY:-}} no_proxy=${no_proxy:-${NO_PROXY:-}} \
        wget "$@" -O "$output" "$url" </dev/null 2>"$temporary/wget" || {
        cat "$temporary/wget" >&2
        return 1
    }
}

# Whether the SHA-256 of the file $1 is $sum, if there is one to be asked for.
has_sum() {
    [ -n "$sum" ] || return 0
    if has sha256sum; then
        found=$(sha256sum <"$1") || found=
        found=${found%% *}
    elif has shasum; then
        found=$(shasum -a 256 <"$1") || found=
        found=${found%% *}
    elif has openssl; then
        found=$(openssl dgst -sha256 <"$1") || found=
        found=${found##* }
    else
        fail 'needs sha256sum, shasum or openssl, to check what was fetched: nothing was run'
    fi
    [ "$found" = "$sum" ] || {
        say "what was fetched is not elsewhere $version: its SHA-256 is $found, not $sum"
        return 1
    }
}

# Puts the program where the user's own programs are.
install_program() {
    directory=${ELSEWHERE_INSTALL_DIR:-${HOME:+$HOME/.local/bin}}
    [ -n "$directory" ] || fail 'HOME is not set: name a directory in ELSEWHERE_INSTALL_DIR'
    # Made searchable whatever the umask, but only what is not there yet.
    (umask 022 && mkdir -p -- "$directory") ||
        fail "cannot make $directory: name another one in ELSEWHERE_INSTALL_DIR"
    [ ! -d "$directory/elsewhere" ] ||
        fail "$directory/elsewhere is a directory: name another place in ELSEWHERE_INSTALL_DIR"
    # A name that nobody could put something at before.
    new=$(mktemp -- "$directory/.elsewhere.XXXXXXXX" 2>/dev/null) || new=
    if [ -z "$new" ] || ! { cp -- "$program" "$new" && chmod 755 -- "$new" &&
        mv -f -- "$new" "$directory/elsewhere"; }; then
        [ -z "$new" ] || rm -f -- "$new"
        fail "cannot write $directory: name another one in ELSEWHERE_INSTALL_DIR"
    fi
    say "installed $directory/elsewhere"
    case :${PATH:-}: in
    *:"$directory":*) say 'try: elsewhere install ~/apptainer' ;;
    *) say "$directory is not in PATH; try: $directory/elsewhere install ~/apptainer" ;;
    esac
}

install_runtime() {
    if [ -n "$from" ] && [ -f "$from/elsewhere.lock" ]; then
        set -- --from "$from" "$@"
    elif [ -n "$from" ]; then
        ELSEWHERE_MIRROR=$from
        export ELSEWHERE_MIRROR
    fi
    # A relative one counts for nothing: the XDG specification says so.
    case ${XDG_CACHE_HOME:-} in
    /*) cache=$XDG_CACHE_HOME ;;
    *) cache=${HOME:+$HOME/.cache} ;;
    esac
    if [ -z "$cache" ] || ! can_write "$cache/elsewhere"; then
        XDG_CACHE_HOME=$temporary/cache
        export XDG_CACHE_HOME
    fi
    status=0
    "$program" install "$@" </dev/null || status=$?
    exit "$status"
}

# Whether files can be made in the directory $1, which is made if need be.
can_write() {
    (umask 077 && mkdir -p -- "$1") 2>/dev/null && tried=$(mktemp -- "$1/.try.XXXXXXXX" 2>/dev/null) && rm -f -- "$tried"
}

main "$@" || exit 1; }
