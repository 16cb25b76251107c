#!/usr/bin/env python3
"""Makes scans of known texts, and compares what OCR reads with the texts. Prints the table of docs/BENCHMARKS.md.

    measure-ocr.py <recognize> <models> <pages> <language>=<contexts.jsonl> ...

<recognize> is the example of the crate ocr (cargo build --release -p ocr --example recognize), <models> the folder
layers/ocr/ocr, <pages> the number of pages of each kind, <language> fra or eng. Needs Pillow, numpy, the Liberation
fonts, and tesseract with these languages, which reads each page for comparison.
"""
import collections
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unicodedata

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

# A4 at 200 dpi.
WIDTH, HEIGHT, DPI = 1654, 2339, 200
LEFT, TOP, BOTTOM = 160, 150, 2139
FONTS = [("LiberationSerif-Regular.ttf", 9), ("LiberationSans-Regular.ttf", 10)]
PARAGRAPHS_PER_PAGE = 6
# The longest side of the picture that the ingest worker draws.
LONGEST_SIDE = 2400
KINDS = {
    "clean": None,
    "scan 200 dpi, skew .7": {"dpi": 200, "skew": 0.7, "blur": 0.6, "noise": 6, "quality": 60},
    "scan 150 dpi, skew -2": {"dpi": 150, "skew": -2, "blur": 0.6, "noise": 8, "quality": 50},
    "fax-like 100 dpi, skew .3": {"dpi": 100, "skew": 0.3, "blur": 0.6, "noise": 8, "quality": 50},
    "photocopy 72 dpi": {"dpi": 72, "skew": 0, "blur": 0.5, "noise": 8, "quality": 40},
}


def lines_of(text, is_too_long):
    """Wraps a text."""
    line = []
    for word in text.split():
        if is_too_long(" ".join([*line, word])):
            yield line
            line = []
        line.append(word)
    yield line


def draw_page(texts, font_file, points):
    """Returns the picture of a page and the words on it."""
    font = ImageFont.truetype(font_file, points * DPI / 72)
    line_height = int(points * DPI / 72 * 1.35)
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    top, words = TOP, []
    for text in texts:
        for line in lines_of(text, lambda line: draw.textlength(line, font=font) > WIDTH - 2 * LEFT):
            if top > BOTTOM:
                return image, words
            draw.text((LEFT, top), " ".join(line), fill=15, font=font)
            words += line
            top += line_height
        top += line_height
    return image, words


def scan(image, random, dpi, skew, blur, noise, quality):
    """Returns the page as a scanner would have stored it, drawn in the size of the worker's picture."""
    image = image.rotate(skew, Image.Resampling.BICUBIC, fillcolor=255)
    image = image.resize((WIDTH * dpi // DPI, HEIGHT * dpi // DPI), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.GaussianBlur(blur))
    shades = numpy.asarray(image, dtype=float) * 0.93 + random.normal(0, noise, (image.height, image.width))
    stored = io.BytesIO()
    Image.fromarray(shades.clip(0, 255).astype("uint8")).save(stored, "JPEG", quality=quality)
    image = Image.open(stored).convert("L")
    return image.resize((round(image.width * LONGEST_SIDE / image.height), LONGEST_SIDE), Image.Resampling.BICUBIC)


def words_of(text):
    """Counts words as they are written, with case and accents, without punctuation around them."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    stripped = (re.sub(r"^\W+|\W+$", "", word) for word in text.split())
    return collections.Counter(word for word in stripped if word)


def share_read(words, text):
    expected = words_of(" ".join(words))
    return (expected & words_of(text)).total() / expected.total()


def run(command, **environment):
    """Returns output, errors, processor seconds and peak RSS in MB. Other load changes the time on the clock."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text, messages = output.read(), errors.read()
    if process.returncode != 0:
        sys.exit(f"{command[0]}: {messages}")
    return text, messages, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(recognize, models, page_file, language, contexts, kind, pages):
    """Returns one row of the table."""
    random = numpy.random.default_rng(7)
    columns = collections.defaultdict(list)
    for number in range(pages):
        texts = contexts[number * PARAGRAPHS_PER_PAGE : (number + 1) * PARAGRAPHS_PER_PAGE]
        image, words = draw_page(texts, *FONTS[number % len(FONTS)])
        if kind:
            image = scan(image, random, **kind)
        image.save(page_file)
        text, messages, seconds, megabytes = run([recognize, models, page_file])
        columns["right"].append(100 * share_read(words, text))
        columns["confidence"].append(float(re.search(r"texts, ([\d.]+)", messages)[1]))
        columns["seconds"].append(seconds)
        columns["megabytes"].append(megabytes)
        text, _, seconds, _ = run(["tesseract", page_file, "-", "-l", language], OMP_THREAD_LIMIT="1")
        columns["tesseract right"].append(100 * share_read(words, text))
        columns["tesseract seconds"].append(seconds)
    mean = {name: sum(values) / len(values) for name, values in columns.items()}
    return (
        f"{mean['right']:.1f}, {min(columns['right']):.1f} | {mean['confidence']:.3f} | "
        f"{mean['seconds']:.1f}, {max(columns['seconds']):.1f} | {max(columns['megabytes']):.0f} | "
        f"{mean['tesseract right']:.1f}, {mean['tesseract seconds']:.1f}"
    )


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    recognize, models, pages, *sets = sys.argv[1:]
    print(
        "| language | page | words right of 100: mean, least | confidence, mean | processor seconds a page: mean, most "
        "| peak RSS, MB | Tesseract: words right of 100, processor seconds |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        page_file = os.path.join(folder, "page.pgm")
        for language, path in (name.split("=", 1) for name in sets):
            lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
            contexts = [json.loads(line)["text"] for line in lines]
            for name, kind in KINDS.items():
                row = measure(recognize, models, page_file, language, contexts, kind, int(pages))
                print(f"| {language} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
