#!/usr/bin/env python3
"""Compares two versions of openapi.json and refuses changes that break a client of the older one.

    scripts/openapi_diff.py <older> <newer> [--accepted FILE]

Breaking: a removed path, method, response, property or content type; another operation id; a parameter, a body or a
property of a request that is newly required; a value that was accepted and is not any more (enum, type, pattern, limits);
a property of a response that may be missing now; sign-in where none was needed. Not breaking: whatever is added, and new
values in an enum of a response.

FILE lists breaking changes that were decided on, one a line, as this script prints them. Exit code 1 when a change is not
in it. Only what openapi.json uses is understood: $ref, type, enum, properties, items, oneOf, allOf, limits.
"""
import argparse
import json
import sys

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
# Limits, and whether a larger value accepts less.
LIMITS = {
    "minLength": True, "minimum": True, "minItems": True, "exclusiveMinimum": True, "minProperties": True,
    "maxLength": False, "maximum": False, "maxItems": False, "exclusiveMaximum": False, "maxProperties": False,
}


class Comparison:
    """The breaking changes between two documents, in `found`."""

    def __init__(self, older, newer):
        self.older, self.newer = older, newer
        self.found = []
        self._under_way = set()

    def run(self):
        paths = self.newer.get("paths", {})
        for path, item in self.older.get("paths", {}).items():
            for method in METHODS:
                if method not in item:
                    continue
                name = f"{method.upper()} {path}"
                if method not in paths.get(path, {}):
                    self.found.append(f"{name}: removed")
                    continue
                self._operation(name, item, item[method], paths[path], paths[path][method])
        return self.found

    def _operation(self, name, older_item, older, newer_item, newer):
        if older.get("operationId") != newer.get("operationId"):
            self.found.append(f"{name}: operation id was {older.get('operationId')}")
        needed = older.get("security", self.older.get("security", []))
        needs = newer.get("security", self.newer.get("security", []))
        for alternative in needed or [{}]:
            if needs and not any(set(option) <= set(alternative) for option in needs):
                self.found.append(f"{name}: sign-in by {sorted(alternative) or 'nothing'} is not accepted any more")
        self._parameters(name, self._parameters_of(self.older, older_item, older), self._parameters_of(self.newer, newer_item, newer))
        self._body(name, resolve(self.older, older.get("requestBody", {})), resolve(self.newer, newer.get("requestBody", {})))
        for status, response in older.get("responses", {}).items():
            if status not in newer.get("responses", {}):
                self.found.append(f"{name}: response {status} removed")
                continue
            self._contents(
                f"{name}: response {status}",
                resolve(self.older, response), resolve(self.newer, newer["responses"][status]), is_request=False,
            )

    def _parameters_of(self, document, item, operation):
        all_of = [resolve(document, one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        return {(one["in"], one["name"].lower() if one["in"] == "header" else one["name"]): one for one in all_of}

    def _parameters(self, name, older, newer):
        for key, parameter in newer.items():
            place = f"{name}: {key[0]} parameter {key[1]}"
            if parameter.get("required") and not older.get(key, {}).get("required"):
                self.found.append(f"{place}: newly required")
            if key in older:
                self._schema(place, older[key].get("schema", {}), parameter.get("schema", {}), is_request=True)
        for key in older.keys() - newer.keys():
            self.found.append(f"{name}: {key[0]} parameter {key[1]}: removed")

    def _body(self, name, older, newer):
        if newer.get("required") and not older.get("required"):
            self.found.append(f"{name}: body newly required")
        self._contents(f"{name}: body", older, newer, is_request=True)

    def _contents(self, place, older, newer, is_request):
        contents = newer.get("content", {})
        for kind, content in older.get("content", {}).items():
            if kind not in contents:
                self.found.append(f"{place}: {kind} removed")
            else:
                self._schema(place, content.get("schema", {}), contents[kind].get("schema", {}), is_request)
        for header in older.get("headers", {}).keys() - newer.get("headers", {}).keys():
            self.found.append(f"{place}: header {header} removed")

    def _schema(self, place, older, newer, is_request):
        key = (json.dumps(older, sort_keys=True), json.dumps(newer, sort_keys=True), is_request)
        # A schema may contain itself.
        if key in self._under_way:
            return
        self._under_way.add(key)
        older, newer = flatten(self.older, older), flatten(self.newer, newer)
        self._types(place, older, newer, is_request)
        self._alternatives(place, older, newer, is_request)
        if is_request:
            self._narrowed(place, older, newer)
        self._properties(place, older, newer, is_request)
        if "items" in older and "items" in newer:
            self._schema(f"{place}[]", older["items"], newer["items"], is_request)
        for part in ("additionalProperties", "propertyNames"):
            if isinstance(older.get(part), dict) and isinstance(newer.get(part), dict):
                self._schema(f"{place}.*", older[part], newer[part], is_request)
        self._under_way.discard(key)

    def _types(self, place, older, newer, is_request):
        before, after = types_of(older), types_of(newer)
        lost = before - after if is_request else after - before
        if before and after and lost:
            self.found.append(f"{place}: type was {'|'.join(sorted(before))}, is {'|'.join(sorted(after))}")
        elif is_request and after and not before:
            self.found.append(f"{place}: type is {'|'.join(sorted(after))} and was any")
        elif not is_request and before and not after and not newer.get("oneOf"):
            self.found.append(f"{place}: type was {'|'.join(sorted(before))} and is any")
        if not is_request and "enum" in older and "enum" not in newer:
            self.found.append(f"{place}: values were {older['enum']}, are any")

    def _alternatives(self, place, older, newer, is_request):
        """Compares oneOf by position, after identical alternatives were taken out."""
        before, after = older.get("oneOf", []), newer.get("oneOf", [])
        if not before and not after:
            return
        left = [one for one in before if one not in after]
        added = [one for one in after if one not in before]
        for one, other in zip(left, added):
            self._schema(place, one, other, is_request)
        if is_request and len(left) > len(added):
            self.found.append(f"{place}: an alternative removed")
        # Identical references still lead to schemas that may differ.
        for one in before:
            if one in after:
                self._schema(place, one, one, is_request)

    def _narrowed(self, place, older, newer):
        if "enum" in newer:
            missing = [value for value in older.get("enum", []) if value not in newer["enum"]]
            if "enum" not in older:
                self.found.append(f"{place}: only {newer['enum']} is accepted now")
            for value in missing:
                self.found.append(f"{place}: {value!r} is not accepted any more")
        for limit, larger_is_narrower in LIMITS.items():
            if limit not in newer:
                continue
            before, after = older.get(limit), newer[limit]
            if before is None or (after > before if larger_is_narrower else after < before):
                self.found.append(f"{place}: {limit} was {before}, is {after}")
        for rule in ("pattern", "format"):
            if rule in newer and newer[rule] != older.get(rule):
                self.found.append(f"{place}: {rule} was {older.get(rule)}, is {newer[rule]}")
        if newer.get("additionalProperties") is False and older.get("additionalProperties", True) is not False:
            self.found.append(f"{place}: unknown fields are refused now")

    def _properties(self, place, older, newer, is_request):
        before, after = older.get("properties", {}), newer.get("properties", {})
        required_before, required_after = set(older.get("required", [])), set(newer.get("required", []))
        for name, schema in before.items():
            if name in after:
                self._schema(f"{place}.{name}", schema, after[name], is_request)
            else:
                # Also in a request that ignores unknown fields: what a client asks for is not done any more.
                self.found.append(f"{place}.{name}: removed")
        if is_request:
            for name in sorted(required_after - required_before):
                self.found.append(f"{place}.{name}: newly required")
        else:
            for name in sorted((required_before - required_after) & after.keys()):
                self.found.append(f"{place}.{name}: may be missing now")


def resolve(document, value):
    """Follows $ref until there is none."""
    seen = set()
    while "$ref" in value:
        reference = value["$ref"]
        if reference in seen:
            raise ValueError(f"{reference} refers to itself")
        seen.add(reference)
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


def flatten(document, schema):
    """Resolves a schema, with the parts of its allOf taken together."""
    schema = resolve(document, schema)
    if "allOf" not in schema:
        return schema
    result = {key: value for key, value in schema.items() if key != "allOf"}
    for part in (flatten(document, one) for one in schema["allOf"]):
        for key, value in part.items():
            if key == "properties":
                result[key] = {**value, **result.get(key, {})}
            elif key == "required":
                result[key] = sorted({*value, *result.get(key, [])})
            else:
                result.setdefault(key, value)
    return result


def types_of(schema):
    kind = schema.get("type")
    kinds = set(kind if isinstance(kind, list) else [kind] if kind else [])
    # Every integer is a number.
    return kinds | {"integer"} if "number" in kinds else kinds


def breaking_changes(older, newer):
    """The breaking changes, in order, each once."""
    return list(dict.fromkeys(Comparison(older, newer).run()))


def main():
    arguments = argparse.ArgumentParser(description="Refuses changes of openapi.json that break clients.")
    arguments.add_argument("older")
    arguments.add_argument("newer")
    arguments.add_argument("--accepted", help="breaking changes that were decided on, one a line")
    given = arguments.parse_args()
    with open(given.older, encoding="utf-8") as older, open(given.newer, encoding="utf-8") as newer:
        found = breaking_changes(json.load(older), json.load(newer))
    accepted = set()
    if given.accepted:
        with open(given.accepted, encoding="utf-8") as lines:
            accepted = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    refused = [change for change in found if change not in accepted]
    for change in refused:
        print(change)
    print(f"{len(refused)} breaking changes, {len(found) - len(refused)} accepted ones", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
