#!/usr/bin/env python3
"""Runs the commands of docs/FIRST-DAY.md as they stand there, and fails when one fails or prints something else.

    python3 scripts/first_day.py [--slow] [--list]

Each block of commands follows a comment `<!-- step: … -->` that says what to do with it:

    block=PAGE#heading           runs the first block below a heading of another page
    serve until=NAME ready=URL   runs until the comment `<!-- step: NAME -->`; goes on when URL answers
    collects=REGEX               by its end, the output of a served block has to match
    prints=REGEX                 the output has to match; it stands last in the comment
    slow                         only with --slow

Where LISA_BIN names the program `lisa` of a build of the whole workspace, `cargo dev` and the other commands of that
program use it, and `cargo test -p local` tests the workspace's build: another set of packages has other features of the
libraries, and would build them all again. CI does so; the nightly run does not.

Runs in the working tree, on its data in .local. Refuses a tree with changes when --slow is given, as those steps throw
changes away. Ends with 0 after all steps, with 1 after a step that failed, and with 2 when it cannot begin.
"""
import argparse
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "FIRST-DAY.md"
MARKER = re.compile(r"^<!-- step:(?P<words>.*?)-->\n(?:```sh\n(?P<commands>.*?)^```$)?", re.MULTILINE | re.DOTALL)
STEP_LIMIT_S = 1800
READY_LIMIT_S = 1200
STOP_LIMIT_S = 60
# The commands of .cargo/config.toml that the page uses.
OF_PROGRAM = "dev|phone|traces|rotate-keys"
# A function of bash in place of `cargo`, where LISA_BIN is set.
BUILT = f"""cargo() {{
    case "$1" in
    {OF_PROGRAM}) "$LISA_BIN" "$@" ;;
    test) shift 3 && command cargo test --workspace "$@" ;;
    *) command cargo "$@" ;;
    esac
}}
"""


class Failure(Exception):
    """A step that did not do what the page says."""


class Step:
    """A block of commands, or the end of one that serves."""

    def __init__(self, words, commands):
        words = words.strip()
        words, _, printed = words.partition("prints=")
        self.prints = printed.strip() or None
        options = dict(word.partition("=")[::2] for word in words.split())
        self.is_slow = options.pop("slow", None) is not None
        self.is_served = options.pop("serve", None) is not None
        self.until, self.ready, self.collects = (options.pop(name, None) for name in ("until", "ready", "collects"))
        block = options.pop("block", None)
        self.commands = block_of(*block.split("#")) if block else commands
        self.ends = None if self.commands else next(iter(options), None)
        if options and not (self.ends and len(options) == 1):
            raise Failure(f"unknown words in {PAGE.name}: {options}")

    def name(self):
        if self.commands is None:
            return f"end of {self.ends}"
        return self.commands.strip().splitlines()[0]


def block_of(page, anchor):
    """The first block of commands below a heading."""
    text = (ROOT / page).read_text()
    for heading in re.finditer(r"^#+ (.*)$", text, re.MULTILINE):
        if re.sub(r"[^a-z0-9 -]", "", heading[1].lower()).replace(" ", "-") == anchor:
            return re.search(r"^```sh\n(.*?)^```$", text[heading.end():], re.MULTILINE | re.DOTALL)[1]
    raise Failure(f"{page} has no heading #{anchor}")


def steps():
    """All steps of the page, in order."""
    text = PAGE.read_text()
    found = [Step(match["words"], match["commands"]) for match in MARKER.finditer(text)]
    blocks, marked = text.count("\n```sh\n"), len(re.findall(r"^<!-- step:.*-->\n```sh$", text, re.MULTILINE))
    if blocks != marked:
        raise Failure(f"{PAGE.name} has {blocks} blocks of commands, and {marked} of them have a comment")
    return found


def answers(url):
    """Whether something answers at the URL; of a tcp:// URL, whether the port is open."""
    if url.startswith("tcp://"):
        host, _, port = url.removeprefix("tcp://").partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return True
        except OSError:
            return False
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def bash(commands):
    """The arguments and settings by which a block runs as in a terminal."""
    before = BUILT if os.environ.get("LISA_BIN") else ""
    return ["bash", "-euo", "pipefail", "-c", before + commands], {"cwd": ROOT, "stdin": subprocess.DEVNULL}


class Served:
    """A block that runs beside the steps after it."""

    def __init__(self, step):
        if answers(step.ready):
            raise Failure(f"something answers at {step.ready} already: stop it first")
        self.step, self.log = step, tempfile.TemporaryFile(mode="w+")
        arguments, settings = bash(step.commands)
        self.process = subprocess.Popen(
            arguments, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True, **settings)
        end = time.monotonic() + READY_LIMIT_S
        while not answers(step.ready):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failure(f"nothing answers at {step.ready}:\n{self.output()}")
            time.sleep(0.5)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def awaits(self):
        """Waits until the output has what the comment says."""
        end = time.monotonic() + STOP_LIMIT_S
        while self.step.collects and not re.search(self.step.collects, self.output()):
            if time.monotonic() > end:
                raise Failure(f"{self.step.name()} did not print {self.step.collects!r}:\n{self.output()}")
            time.sleep(0.5)

    def stop(self):
        """Ctrl-C, to all of the block's processes."""
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Failure(f"{self.step.name()} did not end after Ctrl-C:\n{self.output()}") from None


def run(step):
    """Runs a block to its end."""
    arguments, settings = bash(step.commands)
    ended = subprocess.run(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STEP_LIMIT_S, **settings)
    if ended.returncode != 0:
        raise Failure(f"ended with {ended.returncode}:\n{ended.stdout}")
    if step.prints and not re.search(step.prints, ended.stdout):
        raise Failure(f"did not print {step.prints!r}:\n{ended.stdout}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slow", action="store_true", help="also the steps that compile or change the tree")
    parser.add_argument("--list", action="store_true", help="only list the steps")
    arguments = parser.parse_args()
    chosen = [step for step in steps() if arguments.slow or not step.is_slow]
    if arguments.list:
        print("\n".join(step.name() for step in chosen))
        return 0
    if arguments.slow and subprocess.run(
            ["git", "status", "--porcelain"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout:
        print("the tree has changes, which the slow steps would throw away: commit them first", file=sys.stderr)
        return 2
    served = {}
    try:
        for step in chosen:
            started = time.monotonic()
            print(f"  {step.name()[:90]:<90} ", end="", flush=True)
            if step.is_served:
                served[step.until] = Served(step)
            elif step.commands is None:
                ending = served.pop(step.ends)
                ending.awaits()
                ending.stop()
            else:
                run(step)
            print(f"{time.monotonic() - started:.0f} s", flush=True)
    except (Failure, subprocess.TimeoutExpired) as failure:
        print(f"FAILED\n{failure}", file=sys.stderr)
        return 1
    finally:
        for left in served.values():
            left.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
