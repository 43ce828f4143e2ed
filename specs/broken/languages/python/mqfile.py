#!/usr/bin/env python3
"""mqfile: asks mqfiled for a file."""

import argparse
import ctypes
import errno
import os
import secrets
import select
import shutil
import signal
import struct
import threading
import time

libc = ctypes.CDLL("librt.so.1", use_errno=True)  # which loads libc, where newer ones have all of it

REQUEST = struct.Struct("=i256s")  # the path follows
END, DATA, FAILURE, INFO = 1, 2, 3, 4
FAILED, NO_SERVER = 1, 3
PATIENCE = 10  # seconds without anything from the server
SHAPES = [(10, 8192), (10, 4096), (4, 4096), (1, 4096), (1, 256)]  # messages, bytes: the largest that limits allow


class MqAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs")] + [
        ("reserved", ctypes.c_long * 4)
    ]


libc.mq_timedsend.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_char_p]
libc.mq_timedreceive.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p]
libc.mq_timedreceive.restype = ctypes.c_ssize_t


class Error(Exception):
    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def checked(result, what):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def deadline():
    return struct.pack("@ll", int(time.time()) + PATIENCE + 1, 0)


class Leftovers:
    """What must not be left. The lock is held while something is made or put away, so that a signal finds it either
    known or not there."""

    def __init__(self):
        self.lock = threading.Lock()
        self.queue = self.file = None

    def forget_queue(self):
        with self.lock:
            if self.queue is not None:
                libc.mq_unlink(self.queue)
                self.queue = None

    def end(self, status):
        """Removes everything, for good: after this nothing is made any more, and a signal comes too late."""
        self.lock.acquire()
        if self.queue is not None:
            libc.mq_unlink(self.queue)
        if self.file is not None and os.path.lexists(self.file):
            os.unlink(self.file)
        os._exit(status)

    def watch_signals(self):
        """A thread takes the signals that would end the program. What the starter ignores, as nohup(1) does SIGHUP,
        stays ignored, but for SIGINT and SIGTERM. Python ignores SIGPIPE and SIGXFSZ: they are errors of write(2)."""
        ending = {signal.SIGINT, signal.SIGTERM}
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
            if signal.getsignal(number) != signal.SIG_IGN:
                ending.add(number)
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        threading.Thread(target=lambda: self.end(128 + signal.sigwait(ending)), daemon=True).start()


class Output:
    def __init__(self, path, leftovers):
        """A regular file is replaced by a new one beside it. To a device or a FIFO the bytes go."""
        self.leftovers = leftovers
        self.target = None
        if path is None:
            self.fd = 1
            return
        exists = os.path.exists(path)
        if exists and not os.path.isfile(path):
            self.fd = os.open(path, os.O_WRONLY | os.O_NOCTTY)
            return
        if exists and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        self.target = os.path.realpath(path)  # where a symbolic link leads to
        with leftovers.lock:
            leftovers.file = os.path.join(os.path.dirname(self.target), f".mqfile-{secrets.token_hex(16)}")
            self.fd = os.open(leftovers.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            if exists:
                shutil.copymode(self.target, self.fd)

    def write(self, data):
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except BlockingIOError:  # the starter has made it so
                select.select([], [self.fd], [])

    def finish(self):
        if self.target is not None:
            os.fsync(self.fd)
        os.close(self.fd)  # some file systems tell of a failed write only here
        if self.target is not None:
            with self.leftovers.lock:
                os.rename(self.leftovers.file, self.target)
                self.leftovers.file = None


def make_reply_queue(leftovers):
    with leftovers.lock:
        leftovers.queue = b"/mqfile-" + secrets.token_hex(16).encode()
        for messages, size in SHAPES:
            attr = MqAttr(maxmsg=messages, msgsize=size)
            flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL
            queue = libc.mq_open(leftovers.queue, flags, ctypes.c_uint(0o622), ctypes.byref(attr))
            if queue != -1 or ctypes.get_errno() not in (errno.EINVAL, errno.EMFILE):
                break
        checked(queue, "reply queue")
        os.fchmod(queue, 0o622)  # whatever the umask
        return queue, size


def send_request(name, reply, path):
    server = libc.mq_open(os.fsencode(name), os.O_WRONLY)
    if server == -1:
        raise Error(NO_SERVER, f"no server at {name}: {os.strerror(ctypes.get_errno())}")
    request = REQUEST.pack(os.getpid(), reply) + path + b"\0"
    if libc.mq_timedsend(server, request, len(request), 0, deadline()) == -1:
        raise Error(NO_SERVER, f"the server takes no request: {os.strerror(ctypes.get_errno())}")
    os.close(server)


def responses(queue, size):
    buffer = ctypes.create_string_buffer(size)
    kind = ctypes.c_uint()
    while True:
        length = libc.mq_timedreceive(queue, buffer, size, ctypes.byref(kind), deadline())
        if length == -1 and ctypes.get_errno() == errno.ETIMEDOUT:
            raise Error(NO_SERVER, f"nothing from the server for {PATIENCE} s")
        yield kind.value, buffer.raw[: checked(length, "reply queue")]


def receive_file(queue, size, output, leftovers):
    announced = None
    received = messages = 0
    for kind, body in responses(queue, size):
        leftovers.forget_queue()  # the server has it open
        if kind == FAILURE:
            raise Error(FAILED, body.decode(errors="replace"))
        if kind == INFO and announced is None and len(body) == 8:
            (announced,) = struct.unpack("=Q", body)
        elif kind == DATA and announced is not None and 0 < len(body) <= announced - received:
            output.write(body)
            received += len(body)
            messages += 1
        elif kind == END and announced is not None and not body:
            break
        else:
            raise Error(FAILED, f"the server breaks the protocol: type {kind}, {len(body)} bytes")
    if received != announced:
        raise Error(FAILED, f"{received} bytes instead of {announced}")
    output.finish()
    say(f"Received {received} bytes ({messages} messages)")


def say(text):
    text = "".join(c if c.isprintable() else "?" for c in text)
    try:
        os.write(2, (text + "\n").encode())
    except OSError:
        pass  # nobody listens


def fetch(arguments, path, leftovers):
    try:
        leftovers.watch_signals()
        output = Output(arguments.o, leftovers)
        queue, size = make_reply_queue(leftovers)
        send_request(arguments.queue, leftovers.queue, path)
        receive_file(queue, size, output, leftovers)
        return 0
    except Error as error:
        status, why = error.status, str(error)
    except OSError as error:
        status, why = FAILED, f"{error.filename or 'output'}: {error.strerror}"
    say(f"mqfile: {why}")
    return status


def main():
    parser = argparse.ArgumentParser(prog="mqfile", allow_abbrev=False)
    parser.add_argument("--queue", default="/mqfiled", metavar="/NAME")
    parser.add_argument("-o", metavar="FILE")
    parser.add_argument("path", metavar="PATH")
    arguments = parser.parse_args()
    path = os.fsencode(arguments.path)
    if len(path) > 4095:
        parser.error("the path is too long")
    if arguments.queue[:1] != "/" or "/" in arguments.queue[1:] or len(arguments.queue) < 2:
        parser.error("the name of a queue is one slash and what follows it")
    # What the starter has closed would be the next descriptor's number. To write there stays an error.
    while os.open("/dev/null", os.O_RDONLY) <= 2:
        pass
    leftovers = Leftovers()
    leftovers.end(fetch(arguments, path, leftovers))


if __name__ == "__main__":
    main()
