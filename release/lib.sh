# shellcheck shell=bash
# What the parts share. Sourced by release/build, which sets root, here, out, work, version and commit.

say() { printf '%s\n' "$*"; }
fail() { printf 'release/build: %s\n' "$*" >&2; exit 1; }

# need COMMAND HOW: a tool that the part uses. Nothing is installed here.
need() { command -v "$1" >/dev/null || fail "$part needs $1: $2"; }
need_root() { [ "$(id -u)" = 0 ] || fail "$part needs to be root: $1"; }

# publisher NAME WHAT: what only the publisher knows.
publisher() { [ -n "${!1:-}" ] || fail "$part needs $1, $2; only the publisher knows it (or rehearse with --rehearsal)"; }

rehearse() {
  : "${FRONTDESK_MAINTAINER:=Example Ltd <frontdesk@example.com>}" "${FRONTDESK_NAMESPACE:=com.example}"
  : "${FRONTDESK_REPOSITORY:=https://git.example.com/frontdesk}" "${FRONTDESK_HOMEPAGE:=https://example.com/frontdesk}"
  : "${FRONTDESK_IMAGE:=registry.example.com/frontdesk}" "${FRONTDESK_DOWNLOADS:=https://example.com/frontdesk/$version}"
  export FRONTDESK_MAINTAINER FRONTDESK_NAMESPACE FRONTDESK_REPOSITORY FRONTDESK_HOMEPAGE FRONTDESK_IMAGE FRONTDESK_DOWNLOADS
  say "rehearsal: not for publishing"
}

# The names that this machine's architecture has here and there.
platform() {
  case "$(uname -sm)" in
    "Linux x86_64") arch=x86_64 debian_arch=amd64 loader=/lib64/ld-linux-x86-64.so.2 ;;
    "Linux aarch64") arch=aarch64 debian_arch=arm64 loader=/lib/ld-linux-aarch64.so.1 ;;
    *) fail "artefacts are built on Linux, x86_64 or aarch64; this is $(uname -sm)" ;;
  esac
  triple=$arch-unknown-linux-gnu
  archive=frontdesk-$version-$triple.tar.gz
}

# One part: what it builds, then whether that works.
run_part() {
  local started=$SECONDS
  say "== $1"
  (
    part=$1
    mkdir -p "$work/$part"
    # shellcheck source=/dev/null
    source "$here/parts/$part.sh"
    build
    if [ -n "$try" ] && declare -F try >/dev/null; then try; fi
  )
  say "== $1: done in $((SECONDS - started)) s"
}

# Processes are ended, mounts undone and files removed, however the script ends.
clean_up() {
  local status=$?
  if [ -f "$work/groups" ]; then xargs -r kill -KILL -- < "$work/groups" 2>/dev/null || true; fi
  if [ -d "$work/containers" ]; then
    storage podman rm --all --force --time 0 >/dev/null 2>&1 || true
    storage buildah rm --all >/dev/null 2>&1 || true
    umount --recursive --lazy "$work/containers/overlay" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$work"
  exit "$status"
}

# storage podman|buildah ARGUMENTS: with images and containers of this run alone.
storage() { "$1" --root "$work/containers" --runroot "$work/containers-run" "${@:2}"; }

# tree: unpacks the archive of this commit and prints where; the binary part makes it if it is not there.
tree() {
  local tree=$work/tree/${archive%.tar.gz}
  if [ ! -x "$tree/frontdesk" ]; then
    if [ -n "$given_binary" ] && [ ! -e "$work/binary" ] || ! tar -xOzf "$out/$archive" "${archive%.tar.gz}/COMMIT" 2>/dev/null | grep -qx "$commit"; then
      try="" run_part binary >&2
    fi
    mkdir -p "$work/tree"
    tar -xzf "$out/$archive" -C "$work/tree" --no-same-owner
  fi
  printf '%s' "$tree"
}

# pack NAME DIRECTORY-ABOVE ENTRY: the same .tar.gz for the same files.
pack() {
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$2" -cf - "$3" | gzip -9n > "$out/$1"
  say "$out/$1 ($(stat -c %s "$out/$1") bytes)"
}

# debian_root SUITE DIRECTORY: a minimal Debian, kept packed in target/release-roots for the next time.
debian_root() {
  local packed=$root/target/release-roots/$1-$debian_arch.tar
  if [ ! -s "$packed" ]; then
    need mmdebstrap "apt-get install mmdebstrap"
    mkdir -p "$(dirname "$packed")"
    mmdebstrap --quiet --format=tar --variant=minbase --include=adduser,ca-certificates,procps "$1" "$packed.new" "${FRONTDESK_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
    mv "$packed.new" "$packed"
  fi
  mkdir -p "$2"
  tar -xf "$packed" -C "$2"
}

# inside ROOT COMMAND...: in that root, with a /proc and processes of its own, which all end with the command.
inside() {
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child -- sh -c \
    'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"' "$@"
}

# start COMMAND...: in the background, as a process group of its own, with its output in $work/$part/output. clean_up ends
# what is left of it.
start() {
  set -m
  "$@" > "$work/$part/output" 2>&1 < /dev/null &
  set +m
  started=$!
  echo "-$started" >> "$work/groups"
}

# Ends what was started, as a service manager would, and waits for its end.
stop() {
  local _
  kill -TERM -- "-$started"
  for _ in $(seq 60); do
    pgrep --pgroup "$started" >/dev/null || return 0
    sleep 0.5
  done
  fail "$part: it does not end"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# until_it_answers URL: prints the answer of a server that is being started.
until_it_answers() {
  local _
  for _ in $(seq 120); do
    if curl -sf --max-time 5 "$1"; then return; fi
    sleep 0.5
  done
  cat "$work/$part/output" >&2
  fail "$part: $1 does not answer"
}

# ask_for_an_order URL: the demo's own customer asks for the demo's first order.
ask_for_an_order() {
  curl -sSf --max-time 10 "$1" -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"lookup_order","arguments":{"order_id":"1001"}}}' \
    | grep -q '"status":"shipped"' || fail "$part: the order is not answered"
}

# server_json FILE BUNDLE=FILE:SHA256...: the entry for the MCP registry, validated against the registry's own schema.
server_json() {
  local schema=${FRONTDESK_SERVER_SCHEMA:-}
  need check-jsonschema "pip install check-jsonschema"
  "$here/manifests/fill" "$here/manifests/server.json" VERSION="$version" "${@:2}" > "$1"
  if [ -z "$schema" ]; then
    schema=$(python3 -c 'import importlib.util as u; print(u.find_spec("skillsaw").submodule_search_locations[0])' 2>/dev/null) \
      || fail "$part needs the registry's schema: pip install skillsaw, which has it, or FRONTDESK_SERVER_SCHEMA=FILE"
    schema=$schema/schemas/mcp_registry/v2025_12_11/server.schema.json
  fi
  check-jsonschema --schemafile "$schema" "$1"
}
