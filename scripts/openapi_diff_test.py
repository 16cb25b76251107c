import copy
import json
import unittest
from pathlib import Path

from openapi_diff import breaking_changes

OLDER = {
    "security": [{"bearer": []}],
    "paths": {
        "/orders": {
            "get": {
                "operationId": "orders_list",
                "security": [],
                "parameters": [{"in": "query", "name": "status", "schema": {"enum": ["new", "paid"], "type": "string"}}],
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}},
            },
            "post": {
                "operationId": "orders_create",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewOrder"}}}},
                "responses": {"201": {"description": "made"}, "409": {"description": "conflict"}},
            },
        }
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id", "status"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "string", "enum": ["new", "paid"]},
                    "note": {"type": ["string", "null"]},
                    "parent": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Order"}]},
                },
            },
            "NewOrder": {
                "additionalProperties": False,
                "type": "object",
                "properties": {"note": {"type": "string", "maxLength": 100}, "count": {"type": "number", "minimum": 1}},
            },
        }
    },
}


class Changes(unittest.TestCase):
    def after(self, change):
        newer = copy.deepcopy(OLDER)
        change(newer)
        return breaking_changes(OLDER, newer)

    def order(self, newer):
        return newer["components"]["schemas"]["Order"]

    def new_order(self, newer):
        return newer["components"]["schemas"]["NewOrder"]

    def test_nothing_changed(self):
        self.assertEqual(breaking_changes(OLDER, OLDER), [])

    def test_a_removed_method_breaks(self):
        self.assertEqual(self.after(lambda new: new["paths"]["/orders"].pop("post")), ["POST /orders: removed"])

    def test_another_operation_id_breaks(self):
        change = lambda new: new["paths"]["/orders"]["get"].update(operationId="list")
        self.assertEqual(self.after(change), ["GET /orders: operation id was orders_list"])

    def test_a_new_optional_parameter_and_property_do_not_break(self):
        def change(new):
            new["paths"]["/orders"]["get"]["parameters"].append({"in": "query", "name": "sort", "schema": {}})
            self.order(new)["properties"]["total"] = {"type": "string"}
            self.new_order(new)["properties"]["total"] = {"type": "string"}
            new["paths"]["/orders"]["delete"] = {"operationId": "orders_delete", "responses": {}}

        self.assertEqual(self.after(change), [])

    def test_a_new_required_parameter_breaks(self):
        def change(new):
            new["paths"]["/orders"]["get"]["parameters"].append({"in": "query", "name": "sort", "required": True, "schema": {}})

        self.assertEqual(self.after(change), ["GET /orders: query parameter sort: newly required"])

    def test_a_removed_parameter_breaks(self):
        change = lambda new: new["paths"]["/orders"]["get"]["parameters"].pop()
        self.assertEqual(self.after(change), ["GET /orders: query parameter status: removed"])

    def test_a_value_that_is_not_accepted_any_more_breaks(self):
        change = lambda new: new["paths"]["/orders"]["get"]["parameters"][0]["schema"]["enum"].remove("paid")
        self.assertEqual(self.after(change), ["GET /orders: query parameter status: 'paid' is not accepted any more"])

    def test_a_new_value_in_a_response_does_not_break(self):
        self.assertEqual(self.after(lambda new: self.order(new)["properties"]["status"]["enum"].append("lost")), [])

    def test_a_removed_property_of_a_response_breaks_and_a_schema_that_contains_itself_is_read_once(self):
        found = self.after(lambda new: self.order(new)["properties"].pop("note"))
        self.assertEqual(found, ["GET /orders: response 200.note: removed"])

    def test_a_property_of_a_response_that_may_be_missing_breaks(self):
        found = self.after(lambda new: self.order(new)["required"].remove("status"))
        self.assertIn("GET /orders: response 200.status: may be missing now", found)

    def test_a_response_that_may_be_null_breaks_and_a_request_that_may_be_null_does_not(self):
        found = self.after(lambda new: self.order(new)["properties"]["id"].update(type=["string", "null"]))
        self.assertIn("GET /orders: response 200.id: type was string, is null|string", found)
        self.assertEqual(self.after(lambda new: self.new_order(new)["properties"]["note"].update(type=["string", "null"])), [])

    def test_narrower_requests_break(self):
        for change, message in [
            ({"maxLength": 50}, "POST /orders: body.note: maxLength was 100, is 50"),
            ({"minLength": 1}, "POST /orders: body.note: minLength was None, is 1"),
            ({"pattern": "^a"}, "POST /orders: body.note: pattern was None, is ^a"),
            ({"enum": ["a"]}, "POST /orders: body.note: only ['a'] is accepted now"),
            ({"type": "integer"}, "POST /orders: body.note: type was string, is integer"),
        ]:
            found = self.after(lambda new: self.new_order(new)["properties"]["note"].update(change))
            self.assertEqual(found, [message])
        found = self.after(lambda new: self.new_order(new)["properties"]["count"].update(type="integer"))
        self.assertEqual(found, ["POST /orders: body.count: type was integer|number, is integer"])

    def test_wider_requests_do_not_break(self):
        self.assertEqual(self.after(lambda new: self.new_order(new)["properties"]["note"].update(maxLength=200)), [])
        self.assertEqual(self.after(lambda new: self.new_order(new)["properties"]["note"].pop("maxLength")), [])

    def test_a_required_or_removed_property_of_a_request_breaks(self):
        self.assertEqual(self.after(lambda new: self.new_order(new).update(required=["note"])), ["POST /orders: body.note: newly required"])
        self.assertEqual(self.after(lambda new: self.new_order(new)["properties"].pop("note")), ["POST /orders: body.note: removed"])

    def test_a_required_body_and_a_removed_response_break(self):
        change = lambda new: new["paths"]["/orders"]["post"]["requestBody"].update(required=True)
        self.assertEqual(self.after(change), ["POST /orders: body newly required"])
        change = lambda new: new["paths"]["/orders"]["post"]["responses"].pop("409")
        self.assertEqual(self.after(change), ["POST /orders: response 409 removed"])

    def test_sign_in_where_none_was_needed_breaks_and_the_reverse_does_not(self):
        change = lambda new: new["paths"]["/orders"]["get"].pop("security")
        self.assertEqual(self.after(change), ["GET /orders: sign-in by nothing is not accepted any more"])
        self.assertEqual(self.after(lambda new: new["paths"]["/orders"]["post"].update(security=[])), [])

    def test_the_committed_document_is_understood(self):
        document = json.loads((Path(__file__).parent.parent / "openapi.json").read_text(encoding="utf-8"))
        self.assertEqual(breaking_changes(document, document), [])
        without = copy.deepcopy(document)
        del without["components"]["schemas"]["Login"]["properties"]["email"]
        self.assertIn("POST /api/v1/auth/login: body.email: removed", breaking_changes(document, without))


if __name__ == "__main__":
    unittest.main()
