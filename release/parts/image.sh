# shellcheck shell=bash
# The OCI image: the binary, Debian's C library and root certificates, and nothing else. No daemon is asked.
image=frontdesk-$version-$debian_arch.oci.tar
name=localhost/frontdesk:$version
# A number, because Kubernetes cannot tell from a name that it is not root (runAsNonRoot).
user=65532

build() {
  need_root "the files of the image belong to root"
  need buildah "apt-get install buildah"
  publisher FRONTDESK_NAMESPACE "the namespace of the label io.modelcontextprotocol.server.name"
  local tree files=$work/image/files container
  tree=$(tree)
  mkdir -p "$files/var/lib/frontdesk" "$files/etc/frontdesk" "$files/tmp" "$work/containers"
  chmod 1777 "$files/tmp"
  chmod 0700 "$files/var/lib/frontdesk"
  chown "$user:$user" "$files/var/lib/frontdesk"
  install -D -m 0755 "$tree/frontdesk" "$files/usr/local/bin/frontdesk"
  install -D -m 0644 LICENSE "$files/usr/share/doc/frontdesk/LICENSE"
  add_debian "$files"
  printf 'root:x:0:0:root:/:/nonexistent\nfrontdesk:x:%s:%s:frontdesk:/var/lib/frontdesk:/nonexistent\n' "$user" "$user" > "$files/etc/passwd"
  printf 'root:x:0:\nfrontdesk:x:%s:\n' "$user" > "$files/etc/group"
  echo "hosts: files dns" > "$files/etc/nsswitch.conf"
  find "$files" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

  container=$(storage buildah from scratch)
  cp -a "$files/." "$(storage buildah mount "$container")/"
  storage buildah umount "$container" >/dev/null
  # SIGTERM is the regular end: what runs is finished first. There is no health check inside: nothing could ask.
  storage buildah config --arch "$debian_arch" --os linux --user "$user:$user" --workingdir /etc/frontdesk \
    --entrypoint '["/usr/local/bin/frontdesk"]' --cmd serve --port 8080 --volume /var/lib/frontdesk --stop-signal SIGTERM \
    --label io.modelcontextprotocol.server.name="$FRONTDESK_NAMESPACE/frontdesk" \
    --label org.opencontainers.image.title=frontdesk \
    --label org.opencontainers.image.version="$version" \
    --label org.opencontainers.image.revision="$commit" \
    --label org.opencontainers.image.licenses=Apache-2.0 \
    ${FRONTDESK_REPOSITORY:+--label org.opencontainers.image.source="$FRONTDESK_REPOSITORY"} "$container"
  storage buildah commit --quiet --format oci --timestamp "$SOURCE_DATE_EPOCH" --rm "$container" "$name" >/dev/null
  rm -f "$out/$image"
  storage buildah push --quiet "$name" "oci-archive:$out/$image:frontdesk:$version"
  say "$out/$image ($(stat -c %s "$out/$image") bytes); $(du -sb "$files" | cut -f1) bytes unpacked"
}

# The C library and the certificates of the Debian (or Ubuntu) that this runs on; its packages are named for scanners.
add_debian() {
  need apt-get "the C library and the certificates are Debian's packages; build the image on Debian or Ubuntu"
  local package from=$work/image/debian library
  mkdir -p "$from" "$1/etc/ssl/certs" "$1/var/lib/dpkg/status.d"
  fetch() { (cd "$from" && apt-get -o APT::Sandbox::User=root download --quiet --quiet "$@"); }
  fetch libc6 libgcc-s1 ca-certificates
  # Where the licence of libgcc-s1 is.
  fetch "$(dpkg-deb --field "$from"/libgcc-s1_*.deb Depends | grep -o 'gcc-[0-9]*-base' | head -n 1)"
  for package in "$from"/*.deb; do
    dpkg-deb --extract "$package" "$from/root"
    package=$(basename "${package%%_*}")
    dpkg-deb --field "$from/$package"_*.deb > "$1/var/lib/dpkg/status.d/$package"
    if [ -f "$from/root/usr/share/doc/$package/copyright" ]; then
      install -D -m 0644 "$from/root/usr/share/doc/$package/copyright" "$1/usr/share/doc/$package/copyright"
    fi
  done
  for library in libgcc_s.so.1 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2; do
    install -D -m 0755 "$(find "$from/root" -name "$library" -print -quit)" "$1/lib/$arch-linux-gnu/$library"
  done
  install -D -m 0755 "$(find "$from/root" -name "${loader##*/}" -type f -print -quit)" "$1$loader"
  cat "$from"/root/usr/share/ca-certificates/mozilla/*.crt > "$1/etc/ssl/certs/ca-certificates.crt"
  install -m 0644 /etc/os-release "$1/etc/os-release"
}

# The example configuration for production, on a root that cannot be written, without privileges.
try() {
  need podman "apt-get install podman"
  need runc "apt-get install runc"
  need openssl "apt-get install openssl"
  storage podman rmi --force "$name" >/dev/null
  storage podman load --quiet --input "$out/$image" >/dev/null
  local configuration=$work/image/configuration port read_only answer
  port=$(free_port)
  example_configuration "$configuration"
  container=$(contained --detach --publish "127.0.0.1:$port:8080" --volume "$configuration:/etc/frontdesk:ro" "$name")
  storage podman logs --follow "$container" > "$work/image/output" 2>&1 &
  answer=$(until_it_answers "http://127.0.0.1:$port/livez")
  say "/livez: $answer"
  [ "$(storage podman top "$container" huser | tail -n 1)" = "$user" ] || fail "the process is not user $user"
  read_only=$(storage podman inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$container")
  [ "$read_only" = true ] || fail "the root can be written"
  storage podman exec "$container" /usr/local/bin/frontdesk events list --config /etc/frontdesk/frontdesk.toml
  storage podman stop --time 30 "$container" >/dev/null
  [ "$(storage podman inspect --format '{{.State.ExitCode}}' "$container")" = 0 ] || fail "the container did not end well"
  storage podman inspect --format '{{json .Config.Labels}}' "$container" | grep -q '"io.modelcontextprotocol.server.name"' \
    || fail "the label is missing"

  # As hosts that know the registry's entry start it.
  contained --rm --volume frontdesk:/var/lib/frontdesk "$name" import --samples --store /var/lib/frontdesk/frontdesk.db
  "$here/ask" podman --root "$work/containers" --runroot "$work/containers-run" --runtime runc run --rm --interactive \
    --ulimit nofile=1024:20000 --ulimit nproc=1000:1000 --read-only --tmpfs /tmp --cap-drop all \
    --volume frontdesk:/var/lib/frontdesk "$name" stdio --store /var/lib/frontdesk/frontdesk.db --customer cus_ada --email ada@example.com
  say "tried by podman: user $user, read-only, no capabilities; served over HTTP and over stdio"
}

# Limits for machines where containers are nested; more than enough for a trial.
contained() {
  storage podman --runtime runc run --ulimit nofile=1024:20000 --ulimit nproc=1000:1000 --memory 256m \
    --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges "$@"
}

example_configuration() {
  mkdir -p "$1"
  cp deploy/frontdesk.toml "$1/"
  openssl genpkey -algorithm ed25519 2>/dev/null | openssl pkey -pubout -out "$1/context.pub"
  openssl rand -hex 32 > "$1/operations-token"
  echo "WEBHOOK_SECRET=$(openssl rand -hex 32)" > "$1/.env"
  chmod -R a+rX "$1"
}
