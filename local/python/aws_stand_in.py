"""S3, SQS and Secrets Manager on the loopback interface: moto, whose memory of S3 objects is kept on disk.

    aws_stand_in.py [FOLDER]

Prints its port when it takes requests, and ends when its standard input does, so that it never outlives the stack.

With FOLDER, an object is on disk before its upload is answered, and stands again at the next start. What else moto
knows (queues, secrets, messages under way) is made again by the stack; a message that was lost with a restart is sent
again by maintenance, as one that SQS loses.
"""

import hashlib
import json
import logging
import os
import sys
import threading
from pathlib import Path

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3 import models
from moto.s3.utils import _VersionedKeyStore
from werkzeug.serving import make_server

REGION = "us-east-1"
SUFFIX = ".object"


class Touched(threading.local):
    """The objects that the request of this thread has changed."""

    def __init__(self):
        self.keys = {}


touched = Touched()


class NotingKeys(_VersionedKeyStore):
    """A bucket's keys. Every way of writing or removing an object ends in one of these three."""

    def __init__(self, bucket):
        super().__init__()
        self.bucket = bucket

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        touched.keys[self.bucket, key] = self

    def setlist(self, key, list_):
        super().setlist(key, list_)
        touched.keys[self.bucket, key] = self

    def pop(self, key):
        super().pop(key)
        touched.keys[self.bucket, key] = self


def note_changes():
    """Makes every bucket note what changes in it."""
    make = models.FakeBucket.__init__

    def make_noting(self, name, *args, **kwargs):
        make(self, name, *args, **kwargs)
        self.keys = NotingKeys(name)

    models.FakeBucket.__init__ = make_noting


def path_of(folder, bucket, key):
    # The name of an object may be longer than that of a file, and hold anything.
    return folder / bucket / (hashlib.sha256(key.encode()).hexdigest() + SUFFIX)


def sync(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save(folder):
    """Brings the disk up to what the request has changed: one file an object, a line of JSON before its bytes."""
    changes, touched.keys = touched.keys, {}
    for (bucket, key), keys in changes.items():
        path = path_of(folder, bucket, key)
        value = keys.get(key)
        if not isinstance(value, models.FakeKey):  # gone, or a delete marker
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{threading.get_ident()}.new")
        with open(new, "wb") as file:
            file.write(json.dumps({"key": key, "metadata": dict(value.metadata)}).encode() + b"\n")
            file.write(value.value)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync(path.parent)


def restore(folder):
    """Puts the objects on disk back into moto."""
    backend = models.s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for bucket in sorted(path for path in folder.iterdir() if path.is_dir()):
        backend.create_bucket(bucket.name, REGION)
        for path in bucket.iterdir():
            if path.suffix != SUFFIX:  # cut short: its upload was never answered
                path.unlink()
                continue
            with open(path, "rb") as file:
                header = json.loads(file.readline())
                value = backend.put_object(bucket.name, header["key"], file.read())
            value.set_metadata(header["metadata"], replace=True)
    touched.keys.clear()


def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = DomainDispatcherApplication(create_backend_app)
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        note_changes()
        restore(folder)

        def serve(environ, start_response):
            answer = app(environ, start_response)  # nothing is sent before it returns
            save(folder)
            return answer
    else:
        serve = app
    threading.Thread(target=end_with_parent, daemon=True).start()
    server = make_server("127.0.0.1", 0, serve, threaded=True, request_handler=MotoRequestHandler)
    server.daemon_threads = True
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
