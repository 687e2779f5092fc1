#!/bin/sh
# elsewhere bundle 1
# bytes: @SIZE@
# parts: @SET@
#
# Installs itself, without a network: `sh FILE --help` says more. What follows is not text. All of this is
# in braces, and the shell must see the one that closes before it runs any of it.
newline='
' #
case $newline in #
?) ;; #
*) #
    echo "$0: its line ends were changed on the way (a transfer in text mode?): copy it again, as binary" >&2 #
    exit 8 #
    ;; #
esac #
{
set -fu

file=$0
title='@TITLE@'
size='@SIZE@'

usage() {
    printf '%s\n' "Installs $title, without a network.

  sh $file [words of \`elsewhere install\`] PREFIX     install into the directory PREFIX
  sh $file --run [words] -- WORDS       run the first of its programs with these words, from a
                                        directory of the user's cache, made at the first run
  sh $file --list                       what is in the file
  sh $file --verify                     prove all that is in the file
  sh $file --extract DIR                write it as files, for \`elsewhere install --from DIR\`
  sh $file --help                       this text

The file gives no trust: what is in it is believed where \`elsewhere\` would believe it from the network.
Programs for: @ARCHES@
TMPDIR names a directory for temporary files, in which programs may run."
}

say() {
    printf '%s: %s\n' "$file" "$*" >&2
}

# Ends with the status $1.
fail() {
    status=$1
    shift
    say "$*"
    exit "$status"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

main() {
    if ! is_this_file; then
        file=${file##*/}
        fail 2 'this must be a file, and not come through a pipe: save it, then run sh with its whole path'
    fi
    case ${1:-} in
    '')
        usage >&2
        exit 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) ;;
    esac
    for tool in dd uname mkdir chmod rm; do
        has "$tool" || fail 7 "needs $tool"
    done
    check_end
    find_program
    trap 'stop 129' HUP
    trap 'stop 130' INT
    trap 'stop 143' TERM
    for last; do :; done
    tried=
    for place in "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm "${XDG_RUNTIME_DIR:-}" "${HOME:-}" . \
        "$last" "${last%/*}"; do
        if unpack_program "$place"; then
            exec "$program" open-bundle "$directory" "$file" "$@"
        fi
    done
    fail 7 "its program cannot be run from any of these directories:$tried. Name another one in TMPDIR"
}

# Whether $0 is this file, and not the shell.
is_this_file() {
    [ -f "$file" ] || return 1
    { IFS= read -r first && IFS= read -r second; } <"$file" || return 1
    [ "$first $second" = '#!/bin/sh # elsewhere bundle 1' ]
}

# Whether the file ends as it must. Of one in parts, which a symlink may lead to, the program looks.
check_end() {
    if [ -h "$file" ]; then return; fi
    case $file in
    *.001) return ;;
    *) ;;
    esac
    { end=$(dd if="$file" bs=4096 skip=@END@ count=1); } 2>/dev/null
    case $end in
    'elsewhere bundle 1 end'*) ;;
    *) fail 8 "it is cut short, or was changed on the way: it must have $size bytes: copy it again, as binary" ;;
    esac
}

# Sets where the program for this machine lies: whole blocks, the bytes after them, and its SHA-256.
find_program() {
    machine=$(uname -m)
    case $machine in
    amd64) arch=x86_64 ;;
    arm64) arch=aarch64 ;;
    *) arch=$machine ;;
    esac
    case $arch in
@PROGRAMS@
    *) fail 7 "it has no program for this machine ($machine): it has some for @ARCHES@" ;;
    esac
}

# Puts the program into a new directory of $1, and sees whether it runs there.
unpack_program() {
    case $1 in
    '') return 1 ;;
    /*) place=$1 ;;
    *) place=$PWD/$1 ;;
    esac
    [ -d "$place" ] || return 1
    new=$place/elsewhere-bundle.$$
    # One that is there is another run's.
    if ! (umask 077 && mkdir "$new") 2>/dev/null; then
        note 'cannot be written'
        return 1
    fi
    directory=$new
    program=$directory/elsewhere
    if ! { copy_program >"$program" && chmod 700 "$program"; } 2>/dev/null; then
        note 'no room?'
    elif ! is_whole; then
        remove_directory
        fail 8 "its program for $arch is damaged: copy it again, as binary"
    elif ! { "$program" --version; } >/dev/null 2>&1; then
        note 'programs may not be run?'
    else
        return 0
    fi
    remove_directory
    return 1
}

note() {
    case $tried in
    *" $place ("*) ;;
    *) tried="$tried $place ($1)" ;;
    esac
}

copy_program() {
    dd if="$file" bs=4096 skip="$skip" count="$count" || return 1
    if [ "$rest" -gt 0 ]; then
        dd if="$file" bs=1 skip="$at" count="$rest"
    fi
}

# Whether the program has its digest, where something here tells digests. If not, it looks itself.
is_whole() {
    if has sha256sum; then
        found=$(sha256sum <"$program")
        [ "${found%% *}" = "$sum" ]
    fi
}

remove_directory() {
    [ -z "$directory" ] || rm -rf "$directory"
    directory=
}

# shellcheck disable=SC2317 # traps say it
stop() {
    remove_directory
    exit "$1"
}

directory=
main "$@"
# shellcheck disable=SC2317 # whatever happens, what follows is not for a shell
exit 1
}
