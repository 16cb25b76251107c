#!/usr/bin/env python3
"""Writes the tables of docs/COST.md from docs/cost.json, template.yaml and the model prices in the code.

    scripts/cost.py            writes docs/COST.md
    scripts/cost.py --check    fails when docs/COST.md is out of date
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRICES = ROOT / "shared/src/integrations/model_api/prices.rs"
MINUTES = 30 * 24 * 60


def memory_gb(template, function):
    """A function's memory in GB: that of its block, else of Globals."""
    block = template.split(f"\n  {function}:\n", 1)[1].split("\n\n", 1)[0]
    found = re.search(r"\n      MemorySize: (\d+)", block) or re.search(r"\n    MemorySize: (\d+)", template)
    return int(found[1]) / 1024


def model_prices():
    """USD per million tokens, in and out, of the language models that the code knows."""
    defaults = PRICES.read_text(encoding="utf-8").split("const DEFAULT_PRICES", 1)[1].split("];", 1)[0]
    table = re.findall(r'\("([^"]+)", ([\d_]+), ([\d_]+)\),', defaults)
    found = {name: (int(i.replace("_", "")) / 1e6, int(o.replace("_", "")) / 1e6) for name, i, o in table}
    return {name: price for name, price in found.items() if price[1] > 0}


class Costs:
    """Figures in USD."""

    def __init__(self, settings, template):
        self.settings, self.template = settings, template

    def of(self, name, count):
        price = self.settings["prices"][name]
        return price["usd"] / price["per"] * count

    def input(self, name):
        return self.settings["inputs"][name]["value"]

    def run(self, function, seconds):
        """One invocation."""
        return self.of("lambda_request", 1) + self.of("lambda_gb_s", seconds * memory_gb(self.template, function))

    def logs(self, lines=1):
        return self.of("logs", self.input("log_kb_per_request") * lines / 1e6)

    def requests(self):
        """A million requests, by part."""
        million = 1_000_000
        plain = self.run("DocumentsFunction", self.input("request_s"))
        question = self.run("QueryFunction", self.input("request_s") + self.input("model_wait_s"))
        rows = [("API Gateway", self.of("http_api", million), self.of("http_api", million)),
                ("Lambda", plain * million, question * million),
                ("CloudWatch Logs", self.logs() * million, self.logs() * million)]
        return rows + [("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]

    def conversations(self):
        """A thousand conversations over WhatsApp, by part, without the model."""
        messages = 1000 * self.input("messages_per_conversation")
        webhook = self.run("ManychatWebhookFunction", self.input("webhook_s"))
        # The worker is called again after the burst window, so each message costs two runs; one waits for the model.
        worker = self.run("ReplyWorkerFunction", self.input("request_s") + self.input("model_wait_s"))
        worker += self.run("ReplyWorkerFunction", self.input("request_s"))
        rows = [("API Gateway", self.of("http_api", messages)), ("Lambda", (webhook + worker) * messages),
                ("SQS", self.of("sqs", messages * self.input("sqs_calls_per_message"))),
                ("CloudWatch Logs", self.logs(3) * messages),
                ("WhatsApp, answers within 24 hours", self.of("whatsapp_service", messages))]
        return rows + [("all, without a model", sum(cost for _, cost in rows))]

    def models(self):
        messages = 1000 * self.input("messages_per_conversation")
        for name, (tokens_in, tokens_out) in sorted(model_prices().items(), key=lambda item: item[1]):
            cost = messages * (self.input("prompt_tokens") * tokens_in + self.input("answer_tokens") * tokens_out) / 1e6
            yield name, tokens_in, tokens_out, cost

    def fixed(self):
        """A month without a request."""
        runs = MINUTES + MINUTES / 5
        own = len(re.findall(r"\n      Namespace: !Sub Lisa/", self.template))
        metrics = self.template.count("Namespace: AWS/") + own
        secrets = self.template.count("Type: AWS::SecretsManager::Secret\n")
        rows = [(f"{metrics} metrics of alarms", self.of("alarm_metric", metrics)),
                (f"{own} metrics of Lisa, of things lost and of the models' cost, in months in which each occurs", self.of("metric", own)),
                ("the dashboard, if it is not among the first three", self.of("dashboard", 1)),
                (f"{secrets} secrets", self.of("secret", secrets)),
                ("SQS, empty polls after the free million", self.of("sqs", max(0, self.input("idle_polls_per_month") - 1e6))),
                ("`maintenance`", runs * self.run("MaintenanceFunction", self.input("maintenance_s"))),
                ("Supabase Pro", self.of("supabase", 1))]
        return rows + [("all", sum(cost for _, cost in rows))]


def usd(value):
    return f"{value:,.2f}"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def document():
    settings = json.loads((ROOT / "docs/cost.json").read_text(encoding="utf-8"))
    costs = Costs(settings, (ROOT / "template.yaml").read_text(encoding="utf-8"))
    tables = {
        "requests": table(["part", "USD, routes without a model", "USD, questions"],
                          [(name, usd(plain), usd(question)) for name, plain, question in costs.requests()]),
        "conversations": table(["part", "USD"], [(name, usd(cost)) for name, cost in costs.conversations()]),
        "models": table(["model", "USD per million tokens in", "out", "USD per thousand conversations"],
                        [(f"`{name}`", usd(i), usd(o), usd(cost)) for name, i, o, cost in costs.models()]),
        "fixed": table(["part", "USD a month"], [(name, usd(cost)) for name, cost in costs.fixed()]),
        "inputs": table(["input", "value", "source"],
                        [(f"`{name}`", one["value"], one["source"]) for name, one in settings["inputs"].items()]),
        "prices": table(["price", "USD", "source"], [
            (f"`{name}`", f"{one['usd']:.10f}".rstrip("0").rstrip(".") + f" per {one['per']:,} {one['unit']}", one["source"])
            for name, one in settings["prices"].items()]),
    }
    text = (ROOT / "docs/COST.md").read_text(encoding="utf-8")
    for name, lines in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text, flags=re.S)
        if count != 1:
            sys.exit(f"docs/COST.md has {count} places for the table {name}")
    return text


def main():
    path = ROOT / "docs/COST.md"
    text = document()
    if sys.argv[1:] == ["--check"]:
        if path.read_text(encoding="utf-8") != text:
            sys.exit("docs/COST.md is out of date: run scripts/cost.py")
    elif sys.argv[1:]:
        sys.exit("usage: scripts/cost.py [--check]")
    else:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
