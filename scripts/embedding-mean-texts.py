#!/usr/bin/env python3
"""Writes the texts from which `cargo embedding-mean` computes its mean vector: two files for each language.

Usage: scripts/embedding-mean-texts.py <folder>

The texts are the French and English manuals of Debian's packages debian-handbook, debian-faq, debian-faq-fr,
gnome-user-docs, libreoffice-help-fr and libreoffice-help-en-us. No question set of this repository is among them, so
the mean says nothing about the sets that measure it. The packages are fetched by apt, which checks their hashes.
"""

import gzip
import html
import json
import pathlib
import re
import subprocess
import sys
import tempfile

PACKAGES = [
    "debian-handbook",
    "debian-faq",
    "debian-faq-fr",
    "gnome-user-docs",
    "libreoffice-help-fr",
    "libreoffice-help-en-us",
]
LANGUAGES = {
    "fr": ("doc/debian-handbook/html/fr-FR", "help/fr/gnome-help", "libreoffice/help/fr", "doc/debian/FAQ/debian-faq.fr.txt.gz"),
    "en": ("doc/debian-handbook/html/en-US", "help/C/gnome-help", "libreoffice/help/en-US", "doc/debian/FAQ/debian-faq.en.txt.gz"),
}


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        share = unpack(pathlib.Path(folder))
        for language, (handbook, desktop, office, faq) in LANGUAGES.items():
            sources = [
                paragraphs(share / handbook, "*.html"),
                paragraphs(share / desktop, "*.page"),
                paragraphs(share / office, "*.html"),
            ]
            least = min(map(len, sources))
            passages = [text for source in sources for text in evenly(source, least)]
            write(target / f"{language}.contexts.jsonl", "text", passages)
            asked = questions(share / faq, share / desktop)
            write(target / f"{language}.questions.jsonl", "question", asked)
            print(f"{language}: {len(passages)} passages, {len(asked)} questions")


def unpack(folder):
    """Fetches the packages and unpacks them; answers their folder usr/share."""
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder / "files"], check=True)
    return folder / "files/usr/share"


def paragraphs(folder, pattern):
    """The paragraphs of 120 to 1,500 characters, joined from single lines, without repetitions."""
    found = {}
    for path in sorted(folder.rglob(pattern)):
        source = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", path.read_text(encoding="utf-8"))
        for match in re.finditer(r"(?s)<(?:p|div class=\"para\")(?: [^>]*)?>(.*?)</(?:p|div)>", source):
            text = plain(match[1])
            if 120 <= len(text) <= 1500:
                found.setdefault(text)
    return list(found)


def questions(faq, desktop):
    """The lines of the list of questions and the titles of the manual's pages that end with a question mark."""
    lines = gzip.decompress(faq.read_bytes()).decode().splitlines()
    joined = re.sub(r"\s+", " ", " ".join(line.strip() for line in lines))
    found = dict.fromkeys(
        match[1] for match in re.finditer(r"\d+\.\d+\.? ([A-ZÀ-Ü«][^.?]{12,160}\s?\?)", joined)
    )
    for path in sorted(desktop.rglob("*.page")):
        title = re.search(r"(?s)<title>(.*?)</title>", path.read_text(encoding="utf-8"))
        if title:
            found.setdefault(plain(title[1]))
    return list(found)


def plain(text):
    """The text without tags, with single spaces."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", text))).strip()


def evenly(texts, most):
    """At most `most` of the texts, at even distances."""
    return [texts[index * len(texts) // most] for index in range(min(most, len(texts)))]


def write(path, key, texts):
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"id": str(number), key: text}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
