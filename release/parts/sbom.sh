# shellcheck shell=bash
# The bill of materials: what Cargo.lock says is in the binary, in CycloneDX.
sbom=frontdesk-$version-$arch.cdx.json

build() {
  need cargo-cyclonedx "cargo install --locked cargo-cyclonedx"
  cargo cyclonedx --format json --target "$triple" --override-filename frontdesk-sbom --quiet
  mv frontdesk-sbom.json "$out/$sbom"
  say "$out/$sbom ($(stat -c %s "$out/$sbom") bytes)"
}

try() {
  python3 - "$out/$sbom" "$version" <<'END'
import json, sys
bom = json.load(open(sys.argv[1]))
subject = bom["metadata"]["component"]
assert bom["bomFormat"] == "CycloneDX" and (subject["name"], subject["version"]) == ("frontdesk", sys.argv[2]), subject
unknown = [c["name"] for c in bom["components"] if not c.get("licenses")]
assert len(bom["components"]) > 100 and not unknown, unknown
print(f'{len(bom["components"])} components, each with its licence')
END
}
