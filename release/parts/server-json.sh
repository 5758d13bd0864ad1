# shellcheck shell=bash
# The entry for the MCP registry: the bundles that are in the directory, with their sums, and the image.

build() {
  publisher FRONTDESK_NAMESPACE "the namespace at the MCP registry, as io.github.NAME"
  publisher FRONTDESK_DOWNLOADS "the https address under which the files of this release will be"
  local bundles=("$out"/*.mcpb) bundle packages=()
  [ -e "${bundles[0]}" ] || fail "server-json needs a bundle in $out: release/build mcpb"
  for bundle in "${bundles[@]}"; do packages+=("BUNDLE=${bundle##*/}:$(sha256sum "$bundle" | cut -d' ' -f1)"); done
  server_json "$out/server.json" "${packages[@]}"
  say "$out/server.json: $FRONTDESK_NAMESPACE/frontdesk, ${#bundles[@]} bundles, image ${FRONTDESK_IMAGE:-none}"
}
