"""Validates TOML files against a JSON Schema: validate_schema.py SCHEMA FILE…; prints each fault, exits 1 if there are any."""
import json
import pathlib
import sys
import tomllib

import jsonschema

schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
validator_class = jsonschema.validators.validator_for(schema)
validator_class.check_schema(schema)
faults = 0
for name in sys.argv[2:]:
    for error in validator_class(schema).iter_errors(tomllib.loads(pathlib.Path(name).read_text())):
        faults += 1
        print(f"{name}: {error.json_path}: {error.message[:300]}")
print(f"{len(sys.argv) - 2} files, {faults} faults")
sys.exit(faults > 0)
