# shellcheck shell=bash
# The portable binary: linked against the C library of 2012 (glibc 2.17), with nothing else to install.
glibc=2.17
old_debian=bullseye

build() {
  local binary=$given_binary tree=$work/binary/${archive%.tar.gz}
  if [ -z "$binary" ]; then
    need cargo-zigbuild "pip install cargo-zigbuild ziglang"
    cargo zigbuild --locked --release --target "$triple.$glibc"
    binary=$root/target/$triple/release/frontdesk
    needs_no_newer_glibc "$binary"
  fi
  mkdir -p "$tree/completions"
  install -m 0755 "$binary" "$tree/frontdesk"
  "$binary" --version | grep -qF "frontdesk $version (" || fail "$binary is not version $version"
  "$binary" man "$tree/man/man1" >/dev/null
  "$binary" completions bash > "$tree/completions/frontdesk.bash"
  "$binary" completions zsh > "$tree/completions/_frontdesk"
  "$binary" completions fish > "$tree/completions/frontdesk.fish"
  install -m 0644 README.md CHANGELOG.md SECURITY.md LICENSE "$tree/"
  mkdir -p "$tree/deploy"
  install -m 0644 deploy/frontdesk.service deploy/frontdesk.toml "$tree/deploy/"
  echo "$commit" > "$tree/COMMIT"
  pack "$archive" "$work/binary" "${archive%.tar.gz}"
  say "the binary: $(stat -c %s "$tree/frontdesk") bytes; $(find "$tree/man" -type f | wc -l) manual pages"
}

needs_no_newer_glibc() {
  need objdump "apt-get install binutils"
  local newest
  newest=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
  [ "$(printf '%s\n' "$glibc" "$newest" | sort -V | tail -n 1)" = "$glibc" ] || fail "the binary needs glibc $newest"
  say "needs glibc $newest"
}

# In a minimal root of an old Debian: the demo starts, and answers.
try() {
  need_root "it runs the binary in a root of Debian $old_debian"
  local debian=$work/binary/debian
  debian_root "$old_debian" "$debian"
  tar -xzf "$out/$archive" -C "$debian/opt"
  start inside "$debian" "/opt/${archive%.tar.gz}/frontdesk" demo --listen 127.0.0.1:0
  local url="" _
  for _ in $(seq 120); do
    url=$(sed -n 's/^listening on //p' "$work/binary/output")
    [ -z "$url" ] || break
    sleep 0.5
  done
  [ -n "$url" ] || { cat "$work/binary/output" >&2; fail "the demo does not start in Debian $old_debian"; }
  ask_for_an_order "$url"
  stop
  say "tried in Debian $(cat "$debian/etc/debian_version"), $(inside "$debian" ldd --version | sed -n 1p): a call was answered"
}
