"""S3, SQS and Secrets Manager on the loopback interface: moto behind a check of signatures, with objects and messages
kept on disk.

    aws_stand_in.py [FOLDER]

Prints its port when it takes requests, and ends when its standard input does, so that it never outlives the stack.

With FOLDER, an object or a message is on disk before its request is answered, and stands again at the next start, even
after a kill. Messages may then come twice, as from SQS. What else moto knows (the queues themselves, the secrets) is made
again by the stack.
"""

import hashlib
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3 import models
from moto.s3.utils import _VersionedKeyStore
from moto.sqs import models as sqs
from moto.sqs.models import Message, Queue, SQSBackend
from werkzeug.serving import make_server

# The interpreter runs isolated, so that the folder of this script is not among those that it looks into.
sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True

from signature_check import SignatureCheck  # noqa: E402

# Access key and secret of the stack's clients (local/src/aws.rs).
KEYS = {"local": "local"}
REGION = "us-east-1"
OBJECT = ".object"
MESSAGE = ".message"


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


def write(path, *parts):
    """Writes a file whole or not at all, and not only into the page cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{threading.get_ident()}.new")
    with open(new, "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def files(folder, suffix):
    """The files of a folder. What a kill cut short is removed: its request was never answered."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix == suffix:
            yield path
        else:
            path.unlink()


def save_objects(folder):
    """Brings the disk up to what the request has changed: one file an object, a line of JSON before its bytes."""
    changes, touched.keys = touched.keys, {}
    for (bucket, key), keys in changes.items():
        # The name of an object may be longer than that of a file, and hold anything.
        path = folder / bucket / (hashlib.sha256(key.encode()).hexdigest() + OBJECT)
        value = keys.get(key)
        if isinstance(value, models.FakeKey):
            header = json.dumps({"key": key, "metadata": dict(value.metadata)})
            write(path, header.encode(), b"\n", value.value)
        else:  # gone, or a delete marker
            path.unlink(missing_ok=True)


def restore_objects(folder):
    """Puts the objects on disk back into moto."""
    backend = models.s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for bucket in sorted(folder.iterdir()):
        backend.create_bucket(bucket.name, REGION)
        for path in files(bucket, OBJECT):
            with open(path, "rb") as file:
                header = json.loads(file.readline())
                value = backend.put_object(bucket.name, header["key"], file.read())
            value.set_metadata(header["metadata"], replace=True)
    touched.keys.clear()


def read_clock_directly():
    """Makes queues read the clock as it is: moto makes a date of it and back again for each message that it looks at, which
    is most of its work where many wait."""
    sqs.unix_time_millis = lambda: time.time() * 1000


def delete_alone():
    """Makes moto delete messages under the lock that it adds them under: it replaces the list, and would lose those
    that are added meanwhile."""
    delete = Queue.delete_message

    def delete_message(self, receipt_handle):
        with self._messages_lock:
            delete(self, receipt_handle)

    Queue.delete_message = delete_message


def keep_messages(folder):
    """Makes queues write each message down before they hand it out, and forget it when it is deleted."""
    add, delete, create = Queue.add_message, Queue.delete_message, SQSBackend.create_queue

    def path_of(message_id):
        return folder / (message_id + MESSAGE)

    def add_message(self, message):
        # Moved to another queue, such as a dead-letter queue, it replaces itself.
        write(path_of(message.id), json.dumps({"queue": self.name, "body": message.body}).encode())
        add(self, message)

    def delete_message(self, receipt_handle):
        gone = [message.id for message in self._messages if message.had_receipt_handle(receipt_handle)]
        delete(self, receipt_handle)
        for message_id in gone:
            path_of(message_id).unlink(missing_ok=True)

    def create_queue(self, name, *args, **kwargs):
        known = name in self.queues
        queue = create(self, name, *args, **kwargs)
        for path in [] if known else kept:
            content = json.loads(path.read_bytes())
            if content["queue"] == name:
                message = Message(path.stem, content["body"])
                message.mark_sent(0)
                queue._messages.append(message)
        return queue

    kept = list(files(folder, MESSAGE))
    Queue.add_message, Queue.delete_message, SQSBackend.create_queue = add_message, delete_message, create_queue


def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = DomainDispatcherApplication(create_backend_app)
    read_clock_directly()
    delete_alone()
    if len(sys.argv) > 1:
        objects, messages = Path(sys.argv[1], "objects"), Path(sys.argv[1], "messages")
        for folder in objects, messages:
            folder.mkdir(parents=True, exist_ok=True)
        note_changes()
        restore_objects(objects)
        keep_messages(messages)

        def serve(environ, start_response):
            answer = app(environ, start_response)  # nothing is sent before it returns
            save_objects(objects)
            return answer
    else:
        serve = app
    threading.Thread(target=end_with_parent, daemon=True).start()
    server = make_server("127.0.0.1", 0, SignatureCheck(serve, KEYS), threaded=True, request_handler=MotoRequestHandler)
    server.daemon_threads = True
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
