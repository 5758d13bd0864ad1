# shellcheck shell=bash
# The MCP bundle: what desktop hosts install by a click, to serve one customer over stdio.
bundle=frontdesk-$version-$arch-linux.mcpb

build() {
  publisher FRONTDESK_MAINTAINER "\"Name <address>\", the bundle's author"
  need mcpb "npm install --global @anthropic-ai/mcpb"
  local tree files=$work/mcpb/files
  tree=$(tree)
  install -D -m 0755 "$tree/frontdesk" "$files/server/frontdesk"
  install -m 0644 LICENSE "$files/"
  "$here/manifests/fill" "$here/manifests/mcpb.json" VERSION="$version" > "$files/manifest.json"
  mcpb validate "$files/manifest.json"
  rm -f "$out/$bundle"
  mcpb pack "$files" "$out/$bundle" >/dev/null
  say "$out/$bundle ($(stat -c %s "$out/$bundle") bytes)"
}

# Unpacked, and started with the command of its manifest and a customer's answers to what it asks.
try() {
  local unpacked=$work/mcpb/unpacked command
  mcpb unpack "$out/$bundle" "$unpacked" >/dev/null
  [ -x "$unpacked/server/frontdesk" ] || fail "unpacked, the binary cannot be run"
  "$unpacked/server/frontdesk" import --samples --store "$work/mcpb/frontdesk.db"
  mapfile -t command < <(python3 - "$unpacked" "$work/mcpb/frontdesk.db" <<'END'
import json, sys
directory, store = sys.argv[1:]
manifest = json.load(open(f"{directory}/manifest.json"))
answers = {"store": store, "customer": "cus_ada", "email": "ada@example.com"}
assert set(answers) == set(manifest["user_config"])
known = {"__dirname": directory} | {f"user_config.{name}": answer for name, answer in answers.items()}
for word in [manifest["server"]["mcp_config"]["command"], *manifest["server"]["mcp_config"]["args"]]:
    for name, value in known.items():
        word = word.replace("${" + name + "}", value)
    assert "${" not in word, word
    print(word)
END
)
  "$here/ask" "${command[@]}"
}
