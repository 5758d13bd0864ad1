# shellcheck shell=bash
# The package for a crate registry, with the addresses of whoever publishes it.

build() {
  publisher FRONTDESK_REPOSITORY "the address of the sources"
  local copy=$work/crate/copy
  mkdir "$copy"
  # What is committed, or in a rehearsal what is here.
  if [ -n "$rehearsal" ]; then git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents -t "$copy"
  else git archive HEAD | tar -x -C "$copy"; fi
  sed -i "s|^license = .*|&\nrepository = \"$FRONTDESK_REPOSITORY\"${FRONTDESK_HOMEPAGE:+\nhomepage = \"$FRONTDESK_HOMEPAGE\"}|" "$copy/Cargo.toml"
  cargo publish --dry-run --no-verify --locked --allow-dirty --quiet --manifest-path "$copy/Cargo.toml" --target-dir "$work/crate/target"
  cargo package --no-verify --locked --allow-dirty --quiet --manifest-path "$copy/Cargo.toml" --target-dir "$work/crate/target"
  cp "$work/crate/target/package/frontdesk-$version.crate" "$out/"
  say "$out/frontdesk-$version.crate ($(stat -c %s "$out/frontdesk-$version.crate") bytes)"
}

# Everything that the sources include is in the package: it is compiled, with the dependencies that are there already.
try() {
  tar -xzf "$out/frontdesk-$version.crate" -C "$work/crate"
  cargo check --locked --quiet --lib --bins --manifest-path "$work/crate/frontdesk-$version/Cargo.toml" --target-dir "$root/target"
  cargo publish --dry-run --no-verify --locked --allow-dirty --quiet --manifest-path "$work/crate/frontdesk-$version/Cargo.toml" \
    --target-dir "$work/crate/target"
  say "unpacked, it compiles, and can be published from there"
}
