#!/usr/bin/env python3
"""Attacks every operation of openapi.json on a local stack of its own, with schemathesis, as each role.

    scripts/attack-api.py [--quick] [--seed N] [--examples N] [--role NAME]

Starts `cargo dev` (or the program that LISA_BIN names) on a free port with fake models, makes a company with data through
the API, and lets schemathesis send valid and invalid requests as nobody, a support user, the owner, a service and a global
administrator. No answer may be a 5xx, have a status, a content type or a body that openapi.json does not describe, or accept
what the description forbids. Prints a table, and ends with status 1 after any failure. The reports stay in target/attack.

Needs Python 3.10 or newer with venv; the pinned tools are installed into target/attack/venv.
"""
import argparse
import base64
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "attack"
REQUIREMENTS = ROOT / "scripts" / "attack-api.requirements.txt"
START_TIMEOUT_S = 900
STOP_TIMEOUT_S = 60
READY_TIMEOUT_S = 120
PASSWORD = "quatre mots sans rapport"
# Settings under which the rate limits and the free quota end no run.
SETTINGS = {
    "FREE_QUOTA_LIMIT": "30000",
    "RATE_LIMIT_USER": "1000000",
    "RATE_LIMIT_ADDRESS": "1000000",
    "RATE_LIMIT_SIGN_IN": "1000000",
    "RATE_LIMIT_WEBHOOK": "1000000",
    "RATE_LIMIT_WEBHOOK_ADDRESS": "1000000",
}
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance", "use_after_free", "ignored_auth", "event_stream_conformance",
]
# Operations that end the caller's own session, membership or company. Each has a company of its own, so that the others
# are not called with a token that has ended.
ENDING = {
    "DELETE /api/v1/customers/me/members/{user_id}",
    "DELETE /api/v1/privacy/account",
    "DELETE /api/v1/privacy/me",
    "POST /api/v1/auth/logout",
    "POST /api/v1/auth/password",
    "POST /api/v1/customers/me/owner",
    "POST /api/v1/privacy/account/restore",
}
ROLES = ["nobody", "support", "owner", "service", "admin"]
# Texts are measured as they are kept: without what nobody sees, and without white space at the ends. A text that is too
# long only before that is accepted, which a schema cannot say.
MEASURED_AFTER_CLEANING = {"maxLength"}
# ManyChat's bodies come from templates that people fill in. A message counts, whatever else is wrong in its body.
LENIENT = {"POST /api/v1/webhook/manychat"}
# The gateway's own answer to a header with bytes that HTTP forbids. It comes before any operation.
REFUSED_BY_GATEWAY = (400, b'{"message":"Bad Request"}')
SHOWN_PER_FAILURE = 2


class Api:
    """Calls of the API with one token."""

    def __init__(self, base, token=None):
        self.base, self.token = base, token

    def call(self, method, path, body=None, content_type="application/json", headers=None):
        """Returns the status and the parsed answer."""
        headers = dict(headers or {})
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["content-type"] = content_type
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def data(self, method, path, body=None, **options):
        """Returns `data` of a success, and fails otherwise."""
        status, answer = self.call(method, path, body, **options)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return (answer or {}).get("data")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def install_tools():
    """Makes the environment of schemathesis, unless it is there with these versions."""
    venv, wanted = WORK / "venv", REQUIREMENTS.read_text()
    mark = venv / "requirements"
    if not (mark.exists() and mark.read_text() == wanted):
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "5"]
        subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True)
        mark.write_text(wanted)
    return venv / "bin" / "schemathesis"


class Stack:
    """A running local stack with a data folder of its own."""

    def __init__(self):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = WORK / "stack.log"
        self.data = WORK / "data"

    def __enter__(self):
        program = os.environ.get("LISA_BIN")
        # Cargo replaces itself by the program, so the process id stays.
        command = [program] if program else ["cargo", "run", "--quiet", "--package", "local", "--bin", "lisa", "--"]
        command += ["dev", "--no-console", "--no-model", "--fake-models", "--quiet", "--reset"]
        command += ["--port", str(self.port), "--data", str(self.data)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **SETTINGS}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        try:
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_until_healthy(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"the stack ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                if Api(self.base).call("GET", "/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"the stack did not start within {START_TIMEOUT_S} s")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __exit__(self, *_):
        self.stop()

    def is_running(self):
        return self.process.poll() is None


class Company:
    """A company with an owner, a support user and data of every kind, made through the API."""

    def __init__(self, base, name):
        self.base = base
        self.owner_email, owner = self.sign_up({"company_name": name})
        self.owner, self.id, self.owner_id = Api(base, owner["access_token"]), owner["customer"]["id"], owner["user"]["id"]
        self.support_email, support = self.sign_up({"invitation": self.invite()})
        self.webhook_secret = self.owner.data("POST", "/api/v1/customers/me/webhook-secret")["webhook_secret"]
        self.support, self.support_id = Api(base, support["access_token"]), support["user"]["id"]

    def sign_up(self, body):
        email = f"{uuid.uuid4().hex}@example.com"
        return email, Api(self.base).data("POST", "/api/v1/auth/signup", {"email": email, "password": PASSWORD, **body})

    def invite(self):
        return self.owner.data("POST", "/api/v1/customers/me/invitations", {"role": "support"})["token"]

    def log_in(self, email):
        """Returns a fresh access token: one is valid for an hour."""
        body = {"email": email, "password": PASSWORD}
        return Api(self.base).data("POST", "/api/v1/auth/login", body)["access_token"]

    def fill(self):
        """Makes objects of every kind that a path names."""
        owner = self.owner
        for number in range(4):
            owner.data("POST", "/api/v1/products", {"name": f"Café moulu n° {number}", "price": "2500"})
            order = {"items": [{"name": "Café moulu", "quantity": 2, "unit_price": "2500"}], "customer_name": "Awa Koné"}
            owner.data("POST", "/api/v1/orders", order)
            answer = {"question": f"Livrez-vous au quartier {number} ?", "answer": "Oui, en deux jours.", "language": "fr"}
            kept = owner.data("POST", "/api/v1/approved-answers", answer)
            golden = {"question": answer["question"], "approved_answer_id": kept["id"]}
            owner.data("POST", "/api/v1/golden-questions", golden)
            endpoint = {"url": f"https://hooks.example.com/{number}", "events": ["quota.warning"]}
            owner.data("POST", "/api/v1/webhook-endpoints", endpoint)
            config = {"ai_name": f"Lisa {number}", "prompt_rag": "Tutoie les clients.", "accept_regressions": True}
            owner.data("PATCH", "/api/v1/companies/me/config", config)
            self.invite()
        owner.data("POST", "/api/v1/privacy/exports")
        self.upload("docs/samples/guide-livraison.pdf")
        for question in ["Combien coûte la livraison à Abidjan ?", "Quelle est la capitale de la Mongolie ?"]:
            owner.data("POST", "/api/v1/query", {"question": question})
        for contact in range(3):
            message = {"id": 132 + contact, "last_input_text": "Livrez-vous à Bouaké ?", "name": "Awa Koné",
                       "whatsapp_phone": f"+225070000000{contact}"}
            headers = {"x-webhook-secret": self.webhook_secret}
            Api(self.base).data("POST", "/api/v1/webhook/manychat", message, headers=headers)

    def upload(self, file):
        content = (ROOT / file).read_bytes()
        name = pathlib.Path(file).name
        form = f'--b\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content
        form += b"\r\n--b--\r\n"
        path = "/api/v1/documents/upload"
        document = self.owner.data("POST", path, form, content_type="multipart/form-data; boundary=b")["document"]
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.owner.data("GET", f"/api/v1/documents/{document['id']}")["status"] == "pending":
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} was not read within {READY_TIMEOUT_S} s")
            time.sleep(0.2)

    def context(self, document):
        """The ids of the company's objects for each path with parameters, as the hooks read them."""
        ids = {}
        for path in document["paths"]:
            for at, segment in enumerate(path.split("/")):
                if segment.startswith("{"):
                    ids.setdefault(path, {})[segment[1:-1]] = self.ids_of("/".join(path.split("/")[:at]), segment[1:-1])
        return {"ids": ids, "companies": [self.id]}

    def ids_of(self, collection, name):
        if name == "page":
            return [1]
        if name == "public_user_id":
            return [self.owner_id]
        if name == "user_id":
            return [self.support_id]
        if collection == "/api/v1/admin/customers":
            return [self.id]
        collection = "/api/v1/conversations" if name == "conversation_id" else collection
        status, answer = self.owner.call("GET", collection + "?limit=20")
        return [row["id"] for row in answer["data"]] if status == 200 else []


class Result:
    """The results of schemathesis for one role: failures by kind, and the numbers of operations, statuses and cases."""

    def __init__(self, document):
        self.paths = document["paths"]
        self.operations, self.statuses = set(), collections.Counter()
        self.failures = collections.defaultdict(list)
        self.accepted = self.cases = 0

    def fail(self, kind, operation, text):
        self.failures[kind].append((operation, text))

    def read(self, report):
        """Adds a report in the format NDJSON."""
        for line in report.read_text().splitlines():
            (kind, event), = json.loads(line).items()
            if kind == "ScenarioFinished":
                self.add_scenario(event["recorder"])
            elif "Error" in kind:
                self.fail("error of schemathesis", kind, json.dumps(event)[:500])

    def add_scenario(self, recorder):
        interactions = recorder.get("interactions", {})
        self.cases += len(interactions)
        for interaction in interactions.values():
            response = interaction.get("response")
            self.statuses[f"{response['status_code'] // 100}xx" if response else "none"] += 1
        for name, case in recorder.get("cases", {}).items():
            value = case["value"]
            operation = f"{value['method']} {value['path']}"
            if name in interactions:
                self.operations.add(operation)
            for check in recorder.get("checks", {}).get(name, []):
                if check["status"] != "success":
                    self.add_failure(operation, check, interactions.get(name, {}))

    def add_failure(self, operation, check, interaction):
        failure = json.dumps((check.get("failure_info") or check).get("failure", check), ensure_ascii=False)
        broken = set(re.findall(r"violates `(\w+)`", failure))
        is_tolerated = operation in LENIENT or (broken and broken <= MEASURED_AFTER_CLEANING)
        if check["name"] == "negative_data_rejection" and is_tolerated:
            self.accepted += 1
            return
        request, response = interaction.get("request") or {}, interaction.get("response") or {}
        if self.is_of_another_run(operation, check["name"], request, failure):
            self.accepted += 1
            return
        body = base64.b64decode((request.get("body") or {}).get("$base64", ""))[:300]
        answer = base64.b64decode((response.get("content") or {}).get("$base64", ""))[:300]
        if check["name"] == "status_code_conformance" and (response.get("status_code"), answer) == REFUSED_BY_GATEWAY:
            self.accepted += 1
            return
        text = f"{request.get('method')} {request.get('uri')} {body!r}\n      {response.get('status_code')} {answer!r}"
        self.fail(check["name"], operation, f"{text}\n      {failure[:600]}")

    def is_of_another_run(self, operation, check, request, failure):
        """True when a method is missing in the description of this run only: one that ends a session has its own run."""
        method, path = operation.split(" ", 1)
        documented = {name.upper() for name in self.paths.get(path, {})}
        if check == "unsupported_method":
            return request.get("method") in documented
        advertised = re.search(r"Undocumented methods advertised: ([A-Z, ]+)", failure)
        return check == "allow_header_conformance" and advertised and set(advertised[1].split(", ")) <= documented


def attack(tool, stack, options, role, run, headers, context, selected, document):
    """Runs schemathesis on the selected operations, and returns its report."""
    folder = WORK / role / run
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "context.json").write_text(json.dumps(context))
    # A stream has no schema here: schemathesis would take it for that of each event. The hooks check the events.
    paths = {}
    for path, item in document["paths"].items():
        kept = {method: operation for method, operation in item.items() if f"{method.upper()} {path}" in selected}
        if kept:
            paths[path] = json.loads(json.dumps(kept))
    ids = {operation["operationId"] for item in paths.values() for operation in item.values()}
    for item in paths.values():
        for operation in item.values():
            operation["responses"].get("200", {}).get("content", {}).get("text/event-stream", {}).pop("schema", None)
            for response in operation["responses"].values():
                # A link to an operation of another run leads nowhere in this one.
                links = response.get("links", {})
                for name in [name for name, link in links.items() if link["operationId"] not in ids]:
                    del links[name]
    (folder / "openapi.json").write_text(json.dumps({**document, "paths": paths}))
    # Left to itself, schemathesis signs up where it is given no token, and nobody would be somebody.
    (folder / "schemathesis.toml").write_text('hooks = "attack_api_hooks"\n[auth]\nauto-signup = false\n')
    report = folder / "report.ndjson"
    command = [
        tool, "--config-file", folder / "schemathesis.toml", "run", folder / "openapi.json", "--url", stack.base,
        "--phases", options.phases, "--max-examples", str(options.examples), "--seed", str(options.seed),
        "--checks", ",".join(CHECKS), "--workers", "2", "--continue-on-failure", "--suppress-health-check", "all",
        "--request-timeout", "60", "--generation-database", "none", "--no-color", "--warnings", "off",
        "--report", "ndjson", "--report-ndjson-path", report,
    ]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "scripts"), "LISA_ATTACK_CONTEXT": str(folder / "context.json"),
        "LISA_ATTACK_DOCUMENT": str(ROOT / "openapi.json"), "PYTHONDONTWRITEBYTECODE": "1",
    }
    with open(folder / "output.txt", "w") as output:
        status = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, check=False).returncode
    # 1 stands for failures, which are in the report.
    if status not in (0, 1) or not report.exists():
        raise SystemExit(f"schemathesis ended with {status}:\n{(folder / 'output.txt').read_text()[-3000:]}")
    return report


def headers_of(role, company, demo):
    """The credentials of a role. The owner also sends the company's webhook secret, as its ManyChat bot."""
    tokens = {
        "support": lambda: company.log_in(company.support_email),
        "owner": lambda: company.log_in(company.owner_email),
        "service": lambda: demo["service_token"],
        "admin": lambda: demo["admin_token"],
    }
    headers = {"Authorization": f"Bearer {tokens[role]()}"} if role in tokens else {}
    if role == "owner":
        headers["X-Webhook-Secret"] = company.webhook_secret
    return headers


def print_results(results, seconds, expected):
    print(f"\n{'role':<10}{'operations':>11}{'cases':>8}{'2xx':>8}{'3xx':>6}{'4xx':>8}{'5xx':>6}{'failures':>10}{'minutes':>9}")
    for role, result in results.items():
        counts = "".join(f"{result.statuses[kind]:>{width}}" for kind, width in [("2xx", 8), ("3xx", 6), ("4xx", 8), ("5xx", 6)])
        failed = sum(map(len, result.failures.values()))
        print(f"{role:<10}{len(result.operations):>11}{result.cases:>8}{counts}{failed:>10}{seconds[role] / 60:>9.1f}")
    print(f"operations in openapi.json: {expected}; cases: {sum(result.cases for result in results.values())}")
    accepted = sum(result.accepted for result in results.values())
    print(f"accepted on purpose (see MEASURED_AFTER_CLEANING, LENIENT and REFUSED_BY_GATEWAY): {accepted}")
    for role, result in results.items():
        for kind, failures in sorted(result.failures.items()):
            by_operation = collections.Counter(operation for operation, _ in failures)
            print(f"\n{role}: {kind}: {len(failures)}")
            for operation, count in by_operation.most_common():
                print(f"  {count} × {operation}")
                for text in [text for failed, text in failures if failed == operation][:SHOWN_PER_FAILURE]:
                    print(f"      {text}")


def run(options):
    WORK.mkdir(parents=True, exist_ok=True)
    document = json.loads((ROOT / "openapi.json").read_text())
    operations = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    missing = ENDING - operations
    if missing:
        raise SystemExit(f"openapi.json has no {', '.join(sorted(missing))}: correct the list in this file")
    tool = install_tools()
    results, seconds = {}, {}
    with Stack() as stack:
        demo = json.loads((stack.data / "demo.json").read_text())
        for role in options.roles:
            started = time.monotonic()
            result = results[role] = Result(document)
            endings = [(f"ending-{number}", {operation}) for number, operation in enumerate(sorted(ENDING), 1)]
            if role not in ("support", "owner"):
                endings = [("ending", ENDING)]
            for name, selected in [("main", operations - ENDING), *endings]:
                company = Company(stack.base, f"Comptoir {role}")
                if name == "main":
                    company.fill()
                context = company.context(document)
                headers = headers_of(role, company, demo)
                result.read(attack(tool, stack, options, role, name, headers, context, selected, document))
                if not stack.is_running():
                    raise SystemExit(f"the stack ended during the attack as {role}: see {stack.log}")
            seconds[role] = time.monotonic() - started
            for operation in operations - result.operations:
                result.fail("operation without a case", operation, "")
            print(f"{role}: {result.cases} cases, {sum(map(len, result.failures.values()))} failures", flush=True)
        panics = [line for line in stack.log.read_text().splitlines() if "panicked at" in line]
    print_results(results, seconds, len(operations))
    for line in panics:
        print(f"panic: {line}")
    print(f"\nseed {options.seed}; reports in {WORK.relative_to(ROOT)}")
    return bool(panics) or any(result.failures for result in results.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some minutes: few examples, and no systematic coverage")
    parser.add_argument("--seed", type=int, default=1, help="the seed of all generated requests")
    parser.add_argument("--examples", type=int, help="generated requests for each operation and phase")
    parser.add_argument("--role", dest="roles", action="append", choices=ROLES, help="only this role; may be repeated")
    options = parser.parse_args()
    # The stack ends with this program, also when something ends this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.roles = options.roles or ROLES
    options.examples = options.examples or (5 if options.quick else 50)
    options.phases = "examples,fuzzing,stateful" if options.quick else "examples,coverage,fuzzing,stateful"
    sys.exit(1 if run(options) else 0)


if __name__ == "__main__":
    main()
