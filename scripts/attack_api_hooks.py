"""Hooks of schemathesis for attack-api.py: real ids and companies in generated requests, and a check of event streams.

Schemathesis imports this file. LISA_ATTACK_CONTEXT names a JSON file with the ids of the role under attack, and
LISA_ATTACK_DOCUMENT the openapi.json.
"""
import functools
import hashlib
import json
import os
import pathlib
import re
import uuid

import jsonschema_rs
import schemathesis

CONTEXT = json.loads(pathlib.Path(os.environ["LISA_ATTACK_CONTEXT"]).read_text())
DOCUMENT = json.loads(pathlib.Path(os.environ["LISA_ATTACK_DOCUMENT"]).read_text())


def is_uuid(value):
    try:
        uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        return False
    return True


def choose(value, options):
    """Replaces most values by one of the options. The same value gives the same option, so that a seed repeats a run."""
    if not options:
        return value
    index = int.from_bytes(hashlib.sha256(str(value).encode()).digest()[:4], "big") % (len(options) * 4)
    return options[index % len(options)] if index < len(options) * 3 else value


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Puts ids of existing objects in the place of valid ids. A value that is not valid stays."""
    ids = CONTEXT["ids"].get(context.operation.path, {})
    for name, value in list((path_parameters or {}).items()):
        if is_uuid(value) or (isinstance(value, int) and value > 0) or name == "public_user_id":
            path_parameters[name] = choose(value, ids.get(name, []))
    return path_parameters


@schemathesis.hook
def map_headers(context, headers):
    """Names the caller's own company in place of one that does not exist."""
    for name, value in list((headers or {}).items()):
        if name.lower() == "x-customer-id" and is_uuid(value):
            headers[name] = choose(value, CONTEXT["companies"])
    return headers


@schemathesis.hook
def map_query(context, query):
    """Leaves out most cursors that are of the right form: only a page that exists has one that is followed."""
    cursor = (query or {}).get("cursor")
    if isinstance(cursor, str) and re.fullmatch(r"[A-Za-z0-9_-]+", cursor) and choose(cursor, [""]) == "":
        del query["cursor"]
    return query


@functools.cache
def validator(name):
    schema = DOCUMENT["components"]["schemas"]["StreamEvents"]["properties"][name]
    return jsonschema_rs.validator_for({"allOf": [schema], "components": DOCUMENT["components"]})


@schemathesis.check
def event_stream_conformance(context, response, case):
    """The data of each event of a stream match the schema of its name. OpenAPI 3.1 cannot describe that."""
    content_type = response.headers.get("content-type", [""])[0]
    if response.status_code != 200 or not content_type.startswith("text/event-stream"):
        return
    names = []
    for block in response.content.decode().split("\n\n"):
        fields = [line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":")]
        if not fields:
            continue
        event = dict(fields)
        names.append(event["event"])
        error = next(validator(event["event"]).iter_errors(json.loads(event["data"])), None)
        if error is not None:
            raise AssertionError(f"the event {event['event']} does not match its schema: {error.message[:200]}")
    if not re.fullmatch(r"(citations (delta )*)?(done|error)", " ".join(names)):
        raise AssertionError(f"the events come in another order than documented: {' '.join(names)[:200]}")
