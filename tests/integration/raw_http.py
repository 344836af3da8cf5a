"""HTTP/1.1 by the byte, so that a test can also send what no browser would."""

import os
import re
import select
import socket
import ssl
import time

ANSWER_S_MAX = 10


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name)


class Connection:
    """One TCP connection to the server, with TLS where its url says so.  It trusts any certificate unless context says
    otherwise."""

    def __init__(self, server, context=None):
        self.socket = socket.create_connection((server.host, server.port), ANSWER_S_MAX)
        if server.url.startswith("https"):
            context = context or trusting_context()
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, method="GET"):
        """The next response, or None when the server closed without one."""
        try:
            first = self.file.readline()
        except ConnectionError:
            first = b""
        if not first:
            return None
        fields = {}
        while (line := self.file.readline().strip()):
            name, value = line.decode().split(": ", 1)
            assert name.lower() not in fields, f"{name} is there twice"
            fields[name.lower()] = value
        status = int(first.split(b" ")[1])
        if method == "HEAD" or status in (101, 204, 304):
            return Answer(status, fields, b"")
        return Answer(status, fields, self.file.read(int(fields.get("content-length", -1))))

    def is_closed_within(self, seconds):
        """Waits for the server to close; what it says before is passed over."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left_s)[0]:
                break
            try:
                if not self.socket.recv(65536):
                    return True
            except ConnectionError:
                return True
        return False

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def trusting_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request(path, method="GET", fields=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: plenum.test", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def get(server, path, method="GET", fields=()):
    """One request on a connection of its own."""
    with Connection(server) as connection:
        connection.send(request(path, method, fields))
        return connection.answer(method)


def metrics_by_shard(server):
    """{'name{labels}': value} of /metrics, as it stands there."""
    lines = get(server, "/metrics").body.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def metrics(server):
    """The same, summed over the shards and without their label."""
    sums = {}
    for name, value in metrics_by_shard(server).items():
        name = re.sub(r',?shard="\d+"', "", name).replace("{}", "")
        sums[name] = sums.get(name, 0) + value
    return sums


def open_fds(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def until(predicate, what, seconds=10):
    """For what the server does after the other side is gone, which nobody can wait for in another way."""
    end_s = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end_s, f"not within {seconds} s: {what}"
        time.sleep(0.02)
