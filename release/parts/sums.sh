# shellcheck shell=bash
# SHA-256 sums of everything that is there.

build() {
  (cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 -r sha256sum > SHA256SUMS)
  cat "$out/SHA256SUMS"
}

try() { (cd "$out" && sha256sum --check --quiet SHA256SUMS) && say "every sum is right"; }
