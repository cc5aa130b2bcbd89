"""Holds exported files against the judges of their formats. Argument: a folder with stix.json, misp.json, and the folders sigma and zeek."""

import json
import pathlib
import subprocess
import sys

import pymisp
import stix2validator
import tree_sitter
import tree_sitter_zeek

folder = pathlib.Path(sys.argv[1])

# 302: hashes of the pages that are cited.
options = stix2validator.ValidationOptions(version="2.1", strict=True, disabled=["302"])
result = stix2validator.validate_file(str(folder / "stix.json"), options)
assert result.is_valid, [str(error) for one in result.object_results for error in one.errors][:5]

event = pymisp.MISPEvent()
event.load_file(str(folder / "misp.json"))
count = len(json.loads((folder / "misp.json").read_text())["Event"]["Attribute"])
assert len(event.attributes) == count > 100
assert not any(attribute.to_ids for attribute in event.attributes)
known = set(pymisp.MISPEvent().describe_types["types"])
assert {attribute.type for attribute in event.attributes} <= known
pairs = pymisp.MISPEvent().describe_types["category_type_mappings"]
assert all(attribute.type in pairs[attribute.category] for attribute in event.attributes)

sigma = pathlib.Path(sys.executable).parent / "sigma"
subprocess.run([sigma, "check", "--fail-on-error", "--fail-on-issues", folder / "sigma"], check=True, stdout=subprocess.DEVNULL)

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_zeek.language()))
scripts = sorted((folder / "zeek/scripts").glob("*.zeek"))
assert len(scripts) == 3
for script in scripts:
    tree = parser.parse(script.read_bytes())
    wrong, nodes = [], [tree.root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            wrong.append(node.start_point)
        nodes.extend(node.children)
    assert not wrong, (script.name, wrong[:5])
# It must be able to say no.
assert parser.parse(b"event zeek_init() { if }").root_node.has_error
