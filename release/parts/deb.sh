# shellcheck shell=bash
# The Debian package: the binary, the unit of systemd, an example configuration, a user of its own.
deb=frontdesk_${version}_$debian_arch.deb

build() {
  publisher FRONTDESK_MAINTAINER "\"Name <address>\", the package's maintainer"
  need dpkg-deb "apt-get install dpkg"
  local tree files=$work/deb/files
  tree=$(tree)
  mkdir -p "$files/DEBIAN"
  place 0755 "$tree/frontdesk" usr/bin/frontdesk
  place 0644 deploy/frontdesk.service usr/lib/systemd/system/frontdesk.service
  place 0644 deploy/frontdesk.toml etc/frontdesk/frontdesk.toml
  place 0644 "$tree/completions/frontdesk.bash" usr/share/bash-completion/completions/frontdesk
  place 0644 "$tree/completions/_frontdesk" usr/share/zsh/vendor-completions/_frontdesk
  place 0644 "$tree/completions/frontdesk.fish" usr/share/fish/vendor_completions.d/frontdesk.fish
  place 0644 README.md usr/share/doc/frontdesk/README.md
  place 0644 SECURITY.md usr/share/doc/frontdesk/SECURITY.md
  place 0644 CHANGELOG.md usr/share/doc/frontdesk/changelog
  gzip -9n "$files/usr/share/doc/frontdesk/changelog"
  place 0644 "$here/debian/copyright" usr/share/doc/frontdesk/copyright
  local page
  for page in "$tree"/man/man1/*.1; do
    place 0644 "$page" "usr/share/man/man1/${page##*/}"
    gzip -9n "$files/usr/share/man/man1/${page##*/}"
  done
  echo /etc/frontdesk/frontdesk.toml > "$files/DEBIAN/conffiles"
  install -m 0755 "$here"/debian/{postinst,prerm,postrm} "$files/DEBIAN/"
  (cd "$files" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
  sed -e "s|@VERSION@|$version|; s|@ARCHITECTURE@|$debian_arch|; s|@MAINTAINER@|$FRONTDESK_MAINTAINER|" \
    -e "s|@SIZE@|$(du -sk --apparent-size --exclude=DEBIAN "$files" | cut -f1)|" \
    -e "${FRONTDESK_HOMEPAGE:+s|@HOMEPAGE@|$FRONTDESK_HOMEPAGE|;}/@HOMEPAGE@/d" \
    "$here/debian/control" > "$files/DEBIAN/control"
  # gzip or xz: what the dpkg of older systems reads too.
  dpkg-deb --root-owner-group -Zxz --build "$files" "$out/$deb" >/dev/null
  say "$out/$deb ($(stat -c %s "$out/$deb") bytes)"
}

place() { install -D -m "$1" "$2" "$files/$3"; }

# Installed, checked, served as the service would be, removed and purged in a minimal Debian.
try() {
  need_root "it installs the package in a root of Debian bookworm"
  need openssl "apt-get install openssl"
  local debian=$work/deb/debian port answer
  debian_root bookworm "$debian"
  cp "$out/$deb" "$debian/frontdesk.deb"
  inside "$debian" dpkg --install /frontdesk.deb
  [ "$(stat -c %a "$debian/etc/frontdesk/secrets.env" "$debian/etc/frontdesk/operations-token" "$debian/var/lib/frontdesk" | tr '\n' ' ')" = "600 600 700 " ] \
    || fail "the secrets or the store's directory are open"
  inside "$debian" test -L /etc/systemd/system/multi-user.target.wants/frontdesk.service && fail "the service is enabled before it is configured"
  inside "$debian" dpkg --verify frontdesk

  if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --root="$debian" --man=no --recursive-errors=no /usr/lib/systemd/system/frontdesk.service
    say "systemd-analyze verify: the unit is right"
  else say "systemd-analyze is not here: the unit is not verified"; fi

  # The secrets reach the service as systemd hands them over: as its environment, and as a file of its own.
  openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout -out "$debian/etc/frontdesk/context.pub"
  install -d -m 0755 "$debian/run/credentials"
  install -m 0644 "$debian/etc/frontdesk/operations-token" "$debian/run/credentials/operations-token"
  port=$(free_port)
  local as_service=(setpriv --reuid=frontdesk --regid=frontdesk --clear-groups env
    "$(cat "$debian/etc/frontdesk/secrets.env")" FRONTDESK__OPERATIONS__TOKEN__FILE=/run/credentials/operations-token
    FRONTDESK_CONFIG=/etc/frontdesk/frontdesk.toml FRONTDESK__HTTP__LISTEN=127.0.0.1:"$port" FRONTDESK__OPERATIONS__LISTEN=127.0.0.1:0)
  inside "$debian" "${as_service[@]}" frontdesk check
  start inside "$debian" "${as_service[@]}" frontdesk serve
  answer=$(until_it_answers "http://127.0.0.1:$port/livez")
  say "/livez: $answer"
  stop

  # A second installation keeps what was configured and made.
  local before
  before=$(cat "$debian/etc/frontdesk/secrets.env")
  echo "# changed" >> "$debian/etc/frontdesk/frontdesk.toml"
  inside "$debian" dpkg --install /frontdesk.deb
  grep -qx "# changed" "$debian/etc/frontdesk/frontdesk.toml" || fail "a second installation overwrote the configuration"
  [ "$before" = "$(cat "$debian/etc/frontdesk/secrets.env")" ] || fail "a second installation made new secrets"

  inside "$debian" dpkg --remove frontdesk
  [ -f "$debian/etc/frontdesk/frontdesk.toml" ] || fail "removing took the configuration along"
  rm "$debian/etc/frontdesk/context.pub"
  inside "$debian" dpkg --purge frontdesk
  [ ! -e "$debian/etc/frontdesk" ] || fail "purged, /etc/frontdesk is still there: $(ls "$debian/etc/frontdesk")"
  [ -s "$debian/var/lib/frontdesk/frontdesk.db" ] || fail "purging took the store along"
  rm -r "$debian/var/lib/frontdesk"
  inside "$debian" dpkg --install /frontdesk.deb >/dev/null
  inside "$debian" dpkg --purge frontdesk
  ! inside "$debian" getent passwd frontdesk || fail "purged without a store, the user is still there"
  [ -z "$(find "$debian" -xdev \( -path "$debian/run" -o -path "$debian/frontdesk.deb" -o -path "$debian/var/log" \) -prune -o -name '*frontdesk*' -print)" ] \
    || fail "purged, something is left"
  say "tried in Debian $(cat "$debian/etc/debian_version"): installed, checked, served, installed again, removed, purged"
}
