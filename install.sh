#!/usr/bin/env bash
# Install, upgrade or remove realm for one user.  See usage() below.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: ./install.sh [options]
       curl -fsSL URL-OF-THIS-FILE | REALM_SOURCE=GIT-URL bash -s -- [options]

Installs realm for you alone: a private Python environment in ~/.realm/venv,
the commands realm and git-realm in ~/.local/bin, the man pages, completions
for bash, zsh and fish, and the image for its containers.  Ends with a trial run.
Run it again to upgrade.

  --yes        do not ask: install what is missing (Python's venv, the Docker engine)
  --no-engine  do not install or start a Docker engine
  --no-image   do not build (with --uninstall: do not remove) the image
  --no-run     skip the trial run
  --uninstall  remove everything but your work, which stays in refs/realm/* of your projects
  --force      with --uninstall: also remove containers whose work is not in git yet
  --help       show this

Environment:
  REALM_SOURCE   a checkout or a git URL to install from (default: where this script is)
  REALM_HOME     realm's directory (default: ~/.realm)
  REALM_CA_FILE  extra certificate authorities for the image (behind an inspecting proxy)
TEXT
}

say() { printf '%s\n' "$*" >&2; }
step() { printf '==> %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    if [ $# -gt 1 ]; then printf '\nhint: %s\n' "$2" >&2; fi
    exit 1
}

HOME=${HOME:-$(unset HOME && cd ~ && pwd)} # cron and the like set none
export HOME
yes='' engine=1 image=1 run=1 uninstall='' force=''
home=${REALM_HOME:-$HOME/.realm}
case $home in /*) ;; *) home=$HOME/$home ;; esac # as realm sees it
venv=$home/venv
bin=$HOME/.local/bin
data=${XDG_DATA_HOME:-$HOME/.local/share}
man=$data/man/man1
bash_completion=$data/bash-completion/completions
zsh_completion=$data/zsh/site-functions
fish_completion=${XDG_CONFIG_HOME:-$HOME/.config}/fish/completions
manifest=$home/installed

# Ask a yes-or-no question of whoever sits at the terminal (the script itself may come from stdin).
agreed() {
    if [ -n "$yes" ]; then return 0; fi
    if ! { : </dev/tty; } 2>/dev/null; then return 1; fi
    printf '%s [y/N] ' "$1" >/dev/tty
    local answer
    read -r answer </dev/tty || return 1
    case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "warning: this needs root: $*"
        return 1
    fi
}

# install_packages WHAT APT DNF PACMAN: with the distribution's own package manager, after asking;
# several packages are parted by blanks. Who cannot become root is not asked.
install_packages() {
    local what=$1 apt=$2 dnf=$3 pacman=$4
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then return 1; fi
    if command -v apt-get >/dev/null; then
        agreed "Install $what ($apt) with apt-get?" || return 1
        as_root apt-get update -qq >&2 || true
        # shellcheck disable=SC2086 # several
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            ca-certificates $apt >/dev/null
    elif command -v dnf >/dev/null; then
        agreed "Install $what ($dnf) with dnf?" || return 1
        # shellcheck disable=SC2086
        as_root dnf install -y -q $dnf >&2
    elif command -v pacman >/dev/null; then
        agreed "Install $what ($pacman) with pacman?" || return 1
        # shellcheck disable=SC2086
        as_root pacman -S --noconfirm --needed $pacman >&2
    else
        return 1
    fi
}

# --- where realm comes from -------------------------------------------------

clone=''
cleanup() { if [ -n "$clone" ]; then rm -rf -- "$clone"; fi; }
trap cleanup EXIT

find_source() {
    local here
    source=${REALM_SOURCE:-}
    if [ -z "$source" ] && [ -n "${BASH_SOURCE[0]:-}" ]; then
        here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
        if [ -f "$here/pyproject.toml" ] && [ -d "$here/realm" ]; then source=$here; fi
    fi
    if [ -z "$source" ]; then
        die 'this script is not in a checkout of realm' \
            'say where to install from: REALM_SOURCE=<git URL or directory>'
    fi
    command -v git >/dev/null || install_packages git git git git || die 'git is missing' 'install git'
    if [ ! -d "$source" ] || [ ! -f "$source/pyproject.toml" ]; then
        step "Fetching $source"
        clone=$(mktemp -d)
        git clone -q --depth 1 -- "$source" "$clone/realm" || die "could not fetch $source"
        source=$clone/realm
    fi
}

# --- the private environment ------------------------------------------------

have_python() {
    local candidate
    for candidate in ${REALM_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            return
        fi
    done
    return 1
}

find_python() {
    if have_python; then return; fi
    if install_packages Python 'python3 python3-venv' python3 python && have_python; then return; fi
    die 'realm needs Python 3.11 or newer' 'install it, or name it in REALM_PYTHON'
}

make_environment() {
    # A venv of an interpreter that was upgraded away no longer starts: made anew then.
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        install_packages "Python's venv" python3-venv python3-pip python ||
            die "this Python cannot make environments (ensurepip is missing)" \
                'sudo apt-get install python3-venv'
    fi
    mkdir -p -- "$home" || die "cannot write to $home" 'name another directory in REALM_HOME'
    chmod 700 -- "$home"
    rm -rf -- "$venv"
    "$python" -m venv "$venv" || die "could not make $venv"
}

install_program() {
    local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    local hint='PyPI must be reachable; settings of pip, such as PIP_INDEX_URL and PIP_PROXY, apply'
    export PIP_USER=0 # in an environment pip refuses what some have in its settings
    step "Installing realm in $venv"
    if [ -f "$source/requirements.lock" ]; then
        "${pip[@]}" --require-hashes --requirement "$source/requirements.lock" || die 'could not install what realm needs' "$hint"
        "${pip[@]}" --no-deps --force-reinstall "$source" || die 'could not install realm'
    else
        "${pip[@]}" --upgrade "$source" || die 'could not install realm'
    fi
    keep_apart
    "$venv/bin/realm" --version >&2
}

# What PYTHONPATH names, a project's directory perhaps, is no place to import from;
# and setuptools, which some Pythons put there, would be loaded by every command.
keep_apart() {
    "$venv/bin/python" -I - "$venv/bin/realm" "$venv/bin/git-realm" <<'PYTHON'
import pathlib, re, sys
for program in map(pathlib.Path, sys.argv[1:]):
    # Where its path is long or has blanks in it, the interpreter is started by a line of shell.
    begins = r"\A(#!(?:/bin/sh\n'''exec' .*|\S*)/python[0-9.]*[\"']?)(?= \"\$0\"|\n)"
    program.write_text(re.sub(begins, r"\1 -I", program.read_text()))
PYTHON
    if compgen -G "$venv/lib/python*/site-packages/setuptools" >/dev/null; then
        "$venv/bin/python" -m pip uninstall --quiet --disable-pip-version-check --yes setuptools 2>/dev/null || true
    fi
}

# --- commands, man pages, completions ---------------------------------------

# Everything put outside ~/.realm is written down, so that it can be taken away again.
record() { printf '%s\n' "$1" >>"$manifest.new"; }

link() { # link TARGET PLACE: never over a file that is not ours
    local place=$2
    if [ -e "$place" ] && [ ! -L "$place" ] && ! grep -qxF -- "$place" "$manifest" 2>/dev/null; then
        say "warning: $place is not realm's: left alone"
        return
    fi
    mkdir -p -- "$(dirname -- "$place")"
    ln -sfn -- "$1" "$place"
    record "$place"
}

manual() { # manual PAGE: git realm --help opens git-realm(1)
    local text
    if ! text=$("$venv/bin/$1" _manpage 2>/dev/null); then
        say "warning: no manual page $1"
        return
    fi
    mkdir -p -- "$man"
    printf '%s\n' "$text" >"$man/$1.1"
    record "$man/$1.1"
}

completion() { # completion SHELL PLACE
    local text place=$2
    if ! text=$("$venv/bin/realm" completion "$1" 2>/dev/null); then
        say "warning: no completion for $1"
        return
    fi
    mkdir -p -- "$(dirname -- "$place")"
    printf '%s\n' "$text" >"$place"
    record "$place"
}

place_files() {
    local page first
    : >"$manifest.new"
    link "$venv/bin/realm" "$bin/realm"
    link "$venv/bin/git-realm" "$bin/git-realm"
    for page in realm git-realm; do manual "$page"; done
    for page in realm git-realm; do
        completion bash "$bash_completion/$page"
        completion zsh "$zsh_completion/_$page"
    done
    completion fish "$fish_completion/realm.fish"
    remove_stale
    mv -f -- "$manifest.new" "$manifest"
    case ":$PATH:" in
        *":$bin:"*)
            hash -r
            first=$(command -v realm) || true
            if ! [ "$first" -ef "$bin/realm" ]; then
                say "warning: realm is $first on your PATH, before $bin/realm: remove it, or let $bin come first"
            fi
            ;;
        *)
            say "warning: $bin is not on your PATH; add this line to ~/.profile (or your shell's own file):"
            # shellcheck disable=SC2016 # the line is meant to be read by that shell
            say '    export PATH="$HOME/.local/bin:$PATH"'
            ;;
    esac
    advise_zsh
}

# zsh looks only in the directories of its fpath, which the user's own files set.
advise_zsh() {
    local looks
    command -v zsh >/dev/null || return 0
    # shellcheck disable=SC2016 # zsh reads it
    looks=$(timeout 10 zsh -ic 'print -l -- $fpath; (( $+functions[compdef] )) && print -- compinit' </dev/null 2>/dev/null) || true
    if grep -qxF -- "$zsh_completion" <<<"$looks" && grep -qx compinit <<<"$looks"; then return; fi
    say 'for completion in zsh, add this line to ~/.zshrc (before compinit, if it is there already):'
    say "    fpath=('$zsh_completion' \$fpath); autoload -Uz compinit && compinit"
}

remove_stale() { # what an older version put in place and this one does not
    local old
    [ -f "$manifest" ] || return 0
    while IFS= read -r old; do
        grep -qxF -- "$old" "$manifest.new" || rm -f -- "$old"
    done <"$manifest"
}

# --- the engine, the image, the trial ---------------------------------------

engine_answers() { command -v docker >/dev/null && docker version >/dev/null 2>&1; }

have_engine() {
    if engine_answers || [ -z "$engine" ]; then return; fi
    if [ -n "${DOCKER_HOST:-}" ]; then
        say "warning: the engine at DOCKER_HOST=$DOCKER_HOST does not answer"
        return
    fi
    if [ "$(uname -s)" = Darwin ]; then
        say 'warning: no Docker engine; install Docker Desktop, OrbStack or Colima, start it, run this again'
        return
    fi
    if ! command -v dockerd >/dev/null; then
        install_packages 'the Docker engine' docker.io moby-engine docker || {
            say 'warning: there is no Docker engine; install one, then run this again'
            return
        }
    fi
    # Newer releases have the engine's command in a package of its own.
    if ! command -v docker >/dev/null; then
        install_packages "the engine's command" docker-cli docker-cli docker || true
    fi
    start_engine
}

# Where there is no init system to start services, nothing starts the engine again
# after the machine was; then the user must know how.
start_engine() {
    local pid
    step 'Starting the Docker engine'
    if pid=$(as_root "$source/container/engine" start) && engine_answers; then
        if [ -n "$pid" ]; then
            say 'the engine now runs in the background, its log is /var/log/dockerd.log;'
            say 'nothing here starts it with the machine. After a restart, as root:'
            say "    setsid $(tr '\0' ' ' <"/proc/$pid/cmdline")>>/var/log/dockerd.log 2>&1 </dev/null &"
        fi
    elif as_root docker version >/dev/null 2>&1; then
        say "warning: you have no permission to use the Docker engine yet; sudo usermod -aG docker $(id -un), then log in again"
    else
        say 'warning: the Docker engine is not running; start it (as root: dockerd), then run this again'
    fi
}

build_image() {
    [ -n "$image" ] || return 0
    engine_answers || { say 'warning: no engine, so no image yet: realm build makes it later'; return 0; }
    step 'Building the images for the containers, and for the proxies between them and the network'
    # Debian's image, on which ours is built, is made here where no registry can be asked for it.
    "$source/container/engine" base \
        "${REALM_BASE_IMAGE:-$(git config realm.baseImage || echo debian:bookworm-slim)}" || true
    "$venv/bin/realm" build ${REALM_CA_FILE:+--ca-file "$REALM_CA_FILE"} >&2 ||
        die 'the image could not be built' 'behind an inspecting proxy: REALM_CA_FILE=<its certificates> ./install.sh'
}

trial_run() {
    [ -n "$run" ] || return 0
    engine_answers || return 0
    step 'Trying it out'
    "$venv/bin/realm" doctor --run >&2 || die 'the trial run failed' 'what it printed says what to do; then: realm doctor --run'
}

# --- removal ----------------------------------------------------------------

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# The label of this realm directory's containers and volumes, also of those of earlier versions.
home_label() { (cd -- "$home" && printf %s "$(pwd -P)") | digest | cut -c 1-16; }

# Any image can carry any label: what is removed has one that only this realm directory can write.
proven() { # proven KIND: of the lines "ID NAME PROOF", the ids of what is ours
    REALM_HOME=$(cd -- "$home" && pwd -P) "$venv/bin/python" -I -c '
import sys
from realm.sandbox import layout, proof
for line in sys.stdin:
    found, name, code = line.split()
    if proof.holds(sys.argv[1], name, {layout.PROOF: code}):
        print(found)
' "$1"
}

our_containers() { # our_containers [OPTION...]: of docker's
    docker container ls --all --filter label=realm.proof "$@" --format '{{.ID}} {{.Names}} {{.Label "realm.proof"}}' |
        proven container
}

our_volumes() {
    docker volume ls --filter label=realm.proof --format '{{.Name}} {{.Name}} {{.Label "realm.proof"}}' |
        proven volume
}

remove_containers() {
    local containers proxies volumes unproven
    engine_answers || return 0
    if ! containers=$(our_containers) || ! volumes=$(our_volumes); then
        say 'warning: realm itself no longer runs; its containers and volumes were left alone:'
        say '    docker container ls --all --filter label=realm.proof; docker volume ls --filter label=realm.proof'
        return
    fi
    proxies=$(our_containers --filter label=realm.role=egress) # those hold no work
    if [ "$containers" != "$proxies" ] && [ -z "$force" ]; then
        die 'some containers still hold work that is not in git' \
            'realm list --all shows them; realm resume or realm remove each, or give --force to lose that work'
    fi
    unproven=$(docker container ls --all --quiet --filter label=realm.role=box --filter "label=realm.home=$(home_label)" |
        grep -vxF -- "${containers:-none}") || true
    if [ -n "$unproven" ] && [ -z "$force" ]; then
        die "containers of an earlier version may hold work that is not in git: ${unproven//$'\n'/ }" \
            'realm doctor says how to get it out; docker container rm removes them, --force leaves them where they are'
    fi
    # shellcheck disable=SC2086 # ids hold no blanks
    if [ -n "$containers" ]; then docker container rm --force --volumes $containers >/dev/null; fi
    # shellcheck disable=SC2086
    if [ -n "$volumes" ]; then docker volume rm --force $volumes >/dev/null; fi
    docker network rm realm-open >/dev/null 2>&1 || true # one that another user's containers are on stays
    if [ -n "$image" ]; then remove_images; fi
}

remove_images() {
    # Only realm's own: images that somebody built on these have their labels, too.
    # shellcheck disable=SC2046 # names hold no blanks
    docker image rm --force realm:latest \
        $(docker image ls --filter label=realm.on --format '{{.Repository}}:{{.Tag}}' realm) \
        $(docker image ls --filter label=realm.with --format '{{.Repository}}:{{.Tag}}' realm) \
        $(docker image ls --filter label=realm.egress-fingerprint --format '{{.Repository}}:{{.Tag}}' realm-egress) \
        $(docker image ls --format '{{.Repository}}:{{.Tag}}' realm-features) \
        >/dev/null 2>&1 || true
}

remove_everything() {
    local place
    case $home in / | "$HOME" | "$HOME"/) die "REALM_HOME is $home: not removing that" ;; esac
    if [ ! -d "$venv" ] && [ ! -f "$manifest" ]; then die "realm is not installed in $home"; fi
    agreed "Remove realm and everything in $home?" || die 'nothing was removed' 'give --yes to remove without asking'
    remove_containers
    if [ -f "$manifest" ]; then
        while IFS= read -r place; do rm -f -- "$place"; done <"$manifest"
    fi
    rm -rf -- "$home"
    say 'realm is gone. Your sessions are still in your projects:'
    say '    git for-each-ref refs/realm refs/realm-meta'
}

options() {
    while [ $# -gt 0 ]; do
        case $1 in
            -y | --yes) yes=1 ;;
            --no-engine) engine='' ;;
            --no-image) image='' ;;
            --no-run) run='' ;;
            --uninstall) uninstall=1 ;;
            --force) force=1 ;;
            -h | --help) usage; exit 0 ;;
            *) say "error: no such option: $1"; say ''; usage >&2; exit 2 ;;
        esac
        shift
    done
}

# Called on the last line, so that half a download does nothing.
main() {
    options "$@"
    if [ -n "$uninstall" ]; then
        remove_everything
        return
    fi
    find_source
    find_python
    make_environment
    install_program
    place_files
    have_engine
    build_image
    trial_run
    say ''
    say 'realm is installed. In a git repository:'
    say '    realm new <name>'
}

main "$@"
