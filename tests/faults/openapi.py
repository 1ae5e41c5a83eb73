# SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB
"""sm-side/openapi.yaml, and whether what a server says is what it says: as much of JSON Schema as stands in it."""
import os
import re

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
UNDERSTOOD = {"type", "required", "properties", "additionalProperties", "items", "enum", "pattern", "minimum", "maximum",
              "minLength", "maxLength", "maxItems", "allOf", "anyOf", "$ref", "description", "default"}


def source(path):
    with open(os.path.join(ROOT, path)) as text:
        return text.read()


class Description:
    def __init__(self, path="sm-side/openapi.yaml"):
        self.whole = yaml.safe_load(source(path))

    def resolve(self, node):
        while "$ref" in node:
            found = self.whole
            for part in node["$ref"].lstrip("#/").split("/"):
                found = found[part]
            node = found
        return node

    def operations(self):
        """{(method, path): operation}, with the parameters of the path."""
        found = {}
        for path, item in self.whole["paths"].items():
            for method in item.keys() - {"parameters"}:
                operation = dict(item[method])
                operation["parameters"] = item.get("parameters", []) + operation.get("parameters", [])
                found[method.upper(), path] = operation
        return found

    def schema_of(self, operation, status):
        response = self.resolve(operation["responses"][str(status)])
        return response["content"]["application/json"]["schema"]

    def wrong(self, schema, value, where="the answer"):
        """What of @value is not as @schema says; [] if all is."""
        unknown = schema.keys() - UNDERSTOOD
        if unknown:
            return [f"{where}: the schema has {sorted(unknown)}, which is not understood here"]
        if "$ref" in schema:
            return self.wrong(self.resolve(schema), value, where)
        found = []
        if "type" in schema and (not isinstance(value, TYPES[schema["type"]])
                                 or isinstance(value, bool) != (schema["type"] == "boolean")):
            return [f"{where} is no {schema['type']}: {value!r}"]
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{where} is none of {schema['enum']}: {value!r}")
        for part in schema.get("allOf", []):
            found += self.wrong(part, value, where)
        if "anyOf" in schema and all(self.wrong(part, value, where) for part in schema["anyOf"]):
            found.append(f"{where} is none of what it may be: {value!r}")
        return found + self.wrong_text(schema, value, where) + self.wrong_number(schema, value, where) + \
            self.wrong_parts(schema, value, where)

    @staticmethod
    def wrong_text(schema, value, where):
        found = []
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{where} is not like {schema['pattern']}: {value!r}")
        if "minLength" in schema and len(value) < schema["minLength"]:
            found.append(f"{where} is too short: {value!r}")
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            found.append(f"{where} is too long: {value!r}")
        return found

    @staticmethod
    def wrong_number(schema, value, where):
        if "minimum" in schema and value < schema["minimum"] or "maximum" in schema and value > schema["maximum"]:
            return [f"{where} is out of range: {value!r}"]
        return []

    def wrong_parts(self, schema, value, where):
        found = []
        if isinstance(value, list):
            for i, item in enumerate(value):
                found += self.wrong(schema.get("items", {}), item, f"{where}[{i}]")
        if not isinstance(value, dict):
            return found
        found += [f"{where} has no {name}" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            if name in schema.get("properties", {}):
                found += self.wrong(schema["properties"][name], item, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{where}.{name} is not described")
        return found

    def reasons_of(self, schema):
        """Those that a refusal of @schema names; others it may have besides, by a pattern."""
        if "$ref" in schema:
            return self.reasons_of(self.resolve(schema))
        named = set(schema.get("properties", {}).get("reason", {}).get("enum", []))
        for part in schema.get("properties", {}).get("reason", {}).get("anyOf", []):
            named |= set(part.get("enum", []))
        return named

    def reasons(self):
        """{(method, path, status, reason)}: every reason that is named in it, where it is given."""
        return {(method, path, status, reason) for (method, path), operation in self.operations().items()
                for status in operation["responses"] for reason in self.reasons_of(self.schema_of(operation, status))}


class Witness:
    """Stands between a test and the server: every answer has to be as described."""

    def __init__(self, description):
        self.description, self.operations = description, description.operations()
        self.seen = set()  # (method, path, status)
        self.given = set()  # (method, path, status, reason)

    def operation_of(self, method, path):
        for (described, pattern), operation in self.operations.items():
            like = re.escape(pattern).replace(r"\{id\}", "[0-9]+").replace(r"\{name\}", "[^/]+")
            if described == method and re.fullmatch(like, path):
                return pattern, operation
        raise AssertionError(f"{method} {path} is not described")

    def heard(self, method, path, status, answer):
        pattern, operation = self.operation_of(method, path.split("?")[0])
        if str(status) not in operation["responses"]:
            raise AssertionError(f"{method} {path}: status {status} is not described ({answer})")
        wrong = self.description.wrong(self.description.schema_of(operation, status), answer)
        if wrong:
            raise AssertionError(f"{method} {path}: status {status}: " + "; ".join(wrong))
        self.seen.add((method, pattern, str(status)))
        if "reason" in answer and status >= 400:
            self.given.add((method, pattern, str(status), answer["reason"]))

    def ask(self, smd, method, path, body=None):
        status, answer = smd.ask(method, path, body)
        self.heard(method, path, status, answer)
        return status, answer

    def unheard(self):
        return {(method, path, status) for (method, path), operation in self.operations.items()
                for status in operation["responses"]} - self.seen

    def reasons_ungiven(self):
        return self.description.reasons() - self.given
