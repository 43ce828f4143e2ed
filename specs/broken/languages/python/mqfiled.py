#!/usr/bin/env python3
"""mqfiled: a file server that is a daemon, is asked over a POSIX message queue and answers in threads."""

import argparse
import contextlib
import ctypes
import errno
import fcntl
import math
import os
import pwd
import resource
import select
import signal
import stat
import struct
import syslog
import threading
import time

libc = ctypes.CDLL("librt.so.1", use_errno=True)  # which loads libc, where newer ones have all of it

REQUEST = struct.Struct("=i256s")  # the path follows
REQUEST_MAX = REQUEST.size + 4096
END, DATA, FAILURE, INFO = 1, 2, 3, 4  # priorities: a queue hands out the highest first
LOOK = 0.1  # seconds: how often what wakes nobody is looked for


class MqAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs")] + [
        ("reserved", ctypes.c_long * 4)
    ]


class Sigevent(ctypes.Structure):
    _fields_ = [
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("rest", ctypes.c_char * 40),
    ]


SIGEV_THREAD = 2

libc.mq_receive.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
libc.mq_receive.restype = ctypes.c_ssize_t
libc.mq_timedsend.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_char_p]
libc.syscall.argtypes = [ctypes.c_long] * 2 + [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
libc.syscall.restype = ctypes.c_long


def checked(result, what=None):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mq_open(name, flags, mode=0, attr=None):
    return checked(
        libc.mq_open(os.fsencode(name), flags, ctypes.c_uint(mode), attr and ctypes.byref(attr)), f"queue {name}"
    )


def mq_getattr(queue):
    attr = MqAttr()
    checked(libc.mq_getattr(queue, ctypes.byref(attr)))
    return attr


@contextlib.contextmanager
def closing(fd):
    try:
        yield fd
    finally:
        os.close(fd)


def is_queue_name(name):
    return name[:1] == b"/" and b"/" not in name[1:] and 1 < len(name) <= 256


def reason(error):
    """What an exception says, in one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return "".join(c if c.isprintable() else "?" for c in text)


class Log:
    fd = None

    def open(self, path, uid, gid):
        self.path = path
        if path is None:
            syslog.openlog("mqfiled", syslog.LOG_PID | syslog.LOG_NDELAY, syslog.LOG_DAEMON)
        else:
            self.fd = self.open_file(uid, gid)

    def open_file(self, uid, gid):
        """The account must be able to open it again. A link could lead root into any file: it is not followed."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            fd = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o640)
            os.fchown(fd, uid, gid)
            return fd
        except FileExistsError:
            return os.open(self.path, flags)

    def reopen(self):
        """dup2 exchanges the file in one step, so that no thread needs a lock to write."""
        if self.fd is None:
            return
        try:
            with closing(self.open_file(os.geteuid(), os.getegid())) as fd:
                os.dup2(fd, self.fd, inheritable=False)
        except OSError as error:
            self.line(f"{reason(error)}; keeping the old file")

    def line(self, text):
        text = text.encode(errors="backslashreplace").decode()
        if self.fd is None:
            syslog.syslog(text)  # where nobody listens, the line is lost
            return
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):  # one write(2) with O_APPEND: the lines of two threads do not mix
            os.write(self.fd, f"{date} {text}\n".encode())


def is_at(fd, path):
    """Whether the path still leads to the open file: its owner may have removed it before it was locked here."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    return False


class PidFile:
    def __init__(self, path):
        """Opens and locks. self.made reports whether this start made the file."""
        self.path = path
        begin = time.monotonic()
        while True:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o644)
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_at(self.fd, path):
                    break
            except BlockingIOError:
                self.name_owner()
                # The winner of a race may not have written its PID yet: nobody's stands there, or a dead server's.
                if time.monotonic() - begin > 1:
                    raise RuntimeError(f"{path}: locked by another process") from None
                time.sleep(0.002)
            os.close(self.fd)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            raise RuntimeError(f"{path}: not a regular file")
        self.made = status.st_size == 0

    def name_owner(self):
        text = os.pread(self.fd, 32, 0).strip()
        if text.isdigit() and os.path.exists(f"/proc/{int(text)}"):
            raise RuntimeError(f"already running, PID {int(text)} ({self.path})")

    def write(self):
        text = b"%d\n" % os.getpid()
        os.fchmod(self.fd, 0o644)
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def remove(self):
        try:
            if is_at(self.fd, self.path):
                os.unlink(self.path)
        except OSError:
            os.ftruncate(self.fd, 0)


class Dropped(Exception):
    """A request that is not answered."""


class GivenUp(Exception):
    """Why a transfer ends: its client is gone or takes nothing, or the server stops."""


class Client:
    def __init__(self, stack, pid, name):
        self.queue = stack.enter_context(closing(mq_open(name, os.O_WRONLY)))
        self.piece = mq_getattr(self.queue).msgsize
        self.process = []  # a PID that nobody has is not watched
        with contextlib.suppress(OSError):
            self.process = [stack.enter_context(closing(os.pidfd_open(pid)))]


class Server:
    def __init__(self, queue, root, stall):
        self.name, self.root, self.stall = queue, root, stall
        self.log = Log()
        self.idle = threading.Condition()
        self.running = 0  # under the condition's lock
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.places = min(max(files // 4, 4), 256)  # a transfer has three descriptors
        self.stopping = self.cutting = False
        self.asked = set()
        # glibc keeps the address, so the callback must live as long as the server.
        self.event = Sigevent(notify=SIGEV_THREAD, function=type(Sigevent().function)(lambda _: self.notified()))

    def open_queue(self):
        """Returns whether this start made the queue."""
        if not is_queue_name(os.fsencode(self.name)):
            raise RuntimeError(f"queue {self.name}: a name is one slash and what follows it")
        made = True
        try:
            self.queue = self.make_queue()
        except FileExistsError:
            made = False
            self.queue = mq_open(self.name, os.O_RDONLY | os.O_NONBLOCK)
        owner = os.fstat(self.queue).st_uid
        if owner != os.geteuid():
            raise RuntimeError(f"queue {self.name}: belongs to UID {owner}")
        if mq_getattr(self.queue).msgsize != REQUEST_MAX:
            raise RuntimeError(f"queue {self.name}: is there, with messages of another size")
        return made

    def make_queue(self):
        """As deep as limits allow. Nobody else may register before listen does, hence the mode."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CREAT | os.O_EXCL
        for depth in range(10, 0, -1):
            try:
                return mq_open(self.name, flags, 0o600, MqAttr(maxmsg=depth, msgsize=REQUEST_MAX))
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EMFILE) or depth == 1:
                    raise

    def listen(self):
        checked(self.arm(), f"queue {self.name}: mq_notify")
        os.fchmod(self.queue, 0o622)

    def arm(self):
        return libc.mq_notify(self.queue, ctypes.byref(self.event))

    def notified(self):
        """The registration is used up, and only a message into the empty queue uses the next one: so register first
        and empty the queue then."""
        self.arm()
        self.work()

    def work(self):
        """Serves one request after the other, and lets another thread look for the next one meanwhile."""
        while (message := self.take()) is not None:
            self.another()
            try:
                self.serve(message)
            except (Dropped, OSError, MemoryError) as error:
                self.log.line(f"dropped: {reason(error)}")
            finally:
                with self.idle:
                    self.running -= 1
                    self.idle.notify_all()

    def another(self):
        if mq_getattr(self.queue).curmsgs > 0:
            with contextlib.suppress(RuntimeError):  # no more threads: the request is still in the queue
                threading.Thread(target=self.work, daemon=True).start()

    def take(self):
        """Takes a request and counts it in one step, so that none is taken once stop has begun. What finds no place
        stays in the queue until a transfer ends."""
        with self.idle:
            if self.stopping or self.running >= self.places:
                return None
            buffer = ctypes.create_string_buffer(REQUEST_MAX)
            size = libc.mq_receive(self.queue, buffer, REQUEST_MAX, None)
            if size == -1:
                return None
            self.running += 1
            return buffer.raw[:size]

    def serve(self, message):
        if len(message) <= REQUEST.size:
            raise Dropped(f"a request of {len(message)} bytes")
        pid, reply = REQUEST.unpack_from(message)
        name, end, _ = reply.partition(b"\0")
        path, rest = message[REQUEST.size : -1], message[-1:]
        if not end or not is_queue_name(name):
            raise Dropped("a request whose reply queue has no name")
        # Not to be opened even for a look: closing it would end the registration (mq_notify(3)).
        if name == os.fsencode(self.name):
            raise Dropped("a request that names the request queue as reply queue")
        if rest != b"\0" or b"\0" in path:
            raise Dropped("a request whose path does not end where it ends")
        with contextlib.ExitStack() as stack:
            client = Client(stack, pid, os.fsdecode(name))
            if client.piece < 256:
                raise Dropped("a request whose reply queue has small messages")
            outcome = "done"
            try:
                self.transfer(client, path)
            except GivenUp as error:
                outcome = str(error)
                self.refuse(client, outcome, 0.25)
            except OSError as error:
                outcome = error.strerror
                self.refuse(client, outcome, self.stall)
            self.log.line(f"client {pid}, {os.fsdecode(path)!r}: {outcome}")

    def refuse(self, client, why, patience):
        with contextlib.suppress(GivenUp):  # its queue has no room
            self.send(client, FAILURE, why.encode()[: client.piece], patience)

    def transfer(self, client, path):
        with open(path, "rb", opener=self.open_below) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            left = status.st_size
            if left == 0 and file.read(1):
                raise OSError(errno.EINVAL, "its file system does not report its size")
            self.send(client, INFO, struct.pack("=Q", left), self.stall)
            while left > 0:
                piece = file.read(min(left, client.piece))
                if not piece:
                    raise OSError(errno.EIO, "the file shrank while it was being sent")
                self.send(client, DATA, piece, self.stall)
                left -= len(piece)
            self.send(client, END, b"", self.stall)

    def open_below(self, path, _):
        """The kernel itself keeps the path below the root: a check before the open would leave time for a change."""
        if not path:
            raise OSError(errno.EINVAL, "the path is empty")
        openat2, resolve_beneath, no_magiclinks = 437, 0x08, 0x02
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO does not block
        how = struct.pack("=QQQ", flags, 0, resolve_beneath | no_magiclinks)
        for _ in range(50):
            fd = libc.syscall(openat2, self.root, path.lstrip(b"/") or b".", how, len(how))
            if fd != -1 or ctypes.get_errno() != errno.EAGAIN:
                break
            time.sleep(0.01)  # it passes: a rename meanwhile, or a lease
        if fd == -1 and ctypes.get_errno() == errno.EXDEV:
            raise OSError(errno.EXDEV, "outside the directory served")
        return checked(fd)

    def send(self, client, kind, body, patience):
        """Waits for room, and looks now and then whether there is still a reason to."""
        until = time.monotonic() + patience
        while True:
            if self.cutting and kind != FAILURE:
                raise GivenUp("the server is stopping")
            fraction, seconds = math.modf(time.time() + min(patience, LOOK))
            date = struct.pack("@ll", int(seconds), int(fraction * 1e9))
            if libc.mq_timedsend(client.queue, body, len(body), kind, date) == 0:
                return
            if ctypes.get_errno() not in (errno.ETIMEDOUT, errno.EINTR):
                raise GivenUp(os.strerror(ctypes.get_errno()))
            if client.process and select.select(client.process, [], [], 0)[0]:
                raise GivenUp("the client is gone")
            if time.monotonic() >= until:
                raise GivenUp("the client takes nothing")

    def handle_signals(self):
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: self.asked.add(number))
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # the original may be gone

    def run(self):
        """Requests that a crash has left announce themselves to nobody. Nor does one whose notification glibc dropped
        for want of a thread, or a stranger took: whoever may send may register."""
        self.log.line(f"serving on {self.name!r}")
        while not self.asked & {signal.SIGTERM, signal.SIGINT}:
            self.arm()
            self.another()
            time.sleep(LOOK)
            if signal.SIGHUP in self.asked:
                self.asked.discard(signal.SIGHUP)
                self.log.reopen()

    def stop(self, pidfile):
        with self.idle:
            self.stopping = True
            libc.mq_unlink(os.fsencode(self.name))
            if not self.idle.wait_for(lambda: self.running == 0, 5):
                self.cutting = True
                self.idle.wait_for(lambda: self.running == 0, 0.5)
        pidfile.remove()
        self.log.line("stopped")


def reset_signals():
    """By system call, since glibc refuses its own two, 32 and 33, which a starter may have ignored as well."""
    rt_sigaction = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
    for number in range(1, signal.NSIG):
        libc.syscall(rt_sigaction, number, bytes(64), None, 8)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def clean_environment():
    kept = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}
    variables = [(name, value) for name, value in os.environ.items() if name in kept or name.startswith("LC_")]
    libc.clearenv()  # also of what is no variable, which os.environ does not show
    for name, value in variables:
        os.putenv(name, value)


def drop_privileges(uid, gid):
    """The groups first, while it is still allowed. A securebit of the starter can keep capabilities."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    version_3 = 0x20080522
    checked(libc.capset(struct.pack("=Ii", version_3, 0), bytes(24)), "capset")


def find_account(name):
    if name is None and os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        entry = pwd.getpwnam(name or "nobody")
    except KeyError:
        raise RuntimeError(f"user {name}: there is no such user") from None
    return (entry.pw_uid, entry.pw_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def tell(news, line):
    """The news for the original are lines: "pid N", what was made, then "ready" or "failed WHY"."""
    with contextlib.suppress(BrokenPipeError):  # the original is gone
        os.write(news, (line + "\n").encode(errors="backslashreplace"))


def be_daemon(options, uid, gid, root, news):
    try:
        tell(news, f"pid {os.getpid()}")
        server = Server(options.queue, root, options.stall)
        server.handle_signals()
        with closing(os.open("/dev/null", os.O_RDWR)) as null:
            for fd in (0, 1, 2):
                os.dup2(null, fd)
        os.umask(0)
        os.chdir("/")
        server.log.open(options.log, uid, gid)
        pidfile = PidFile(options.pidfile)
        if pidfile.made:
            tell(news, "pidfile")
        pidfile.write()
        if os.geteuid() == 0:
            drop_privileges(uid, gid)
        if server.open_queue():
            tell(news, "queue")
        server.listen()
    except Exception as error:
        tell(news, f"failed {reason(error)}")
        os._exit(1)
    tell(news, "ready")
    os.close(news)
    server.run()
    server.stop(pidfile)
    os._exit(0)  # without waiting for threads that are still at work


def await_daemon(options, news):
    with open(news, errors="surrogateescape") as pipe:
        lines = pipe.read().splitlines()
    if "ready" in lines:
        return
    said = dict(line.partition(" ")[::2] for line in lines)
    with contextlib.suppress(OSError), closing(os.pidfd_open(int(said.get("pid", 0)))) as process:
        select.select([process], [], [], 2)  # the pipe ends a moment before the process does
    if "queue" in said:
        remove_queue(options.queue)
    if "pidfile" in said:
        remove_pidfile(options.pidfile)
    raise RuntimeError(said.get("failed", "the daemon died before it was ready"))


def remove_queue(name):
    """mqueuefs reports whether another server has registered for it meanwhile."""
    with contextlib.suppress(OSError), closing(mq_open(name, os.O_RDONLY | os.O_NONBLOCK)) as queue:
        if b"NOTIFY_PID:0 " in os.read(queue, 128):
            libc.mq_unlink(os.fsencode(name))


def remove_pidfile(path):
    """Who holds the lock is another server, which has taken the file over."""
    with contextlib.suppress(OSError), closing(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_at(fd, path):
            os.unlink(path)


def start(options):
    while (fd := os.open("/dev/null", os.O_RDWR)) <= 2:  # a starter may have closed them
        pass
    os.closerange(3, 2**31 - 1)
    reset_signals()
    clean_environment()
    uid, gid = find_account(options.user)
    root = os.open(options.root, os.O_PATH | os.O_DIRECTORY)
    reader, writer = os.pipe()
    # The middle process leads the new session. The daemon does not, so that no terminal can become its own.
    middle = os.fork()
    if middle == 0:
        os.close(reader)
        try:
            os.setsid()
            if os.fork() == 0:
                be_daemon(options, uid, gid, root, writer)
        except OSError as error:
            tell(writer, f"failed {reason(error)}")
        os._exit(0)
    os.close(writer)
    os.waitpid(middle, 0)
    await_daemon(options, reader)


def default_pidfile():
    if os.geteuid() == 0:
        return "/run/mqfiled.pid"
    if directory := os.environ.get("XDG_RUNTIME_DIR"):
        return f"{directory}/mqfiled.pid"
    return f"/tmp/mqfiled-{os.geteuid()}.pid"


def seconds(text):
    value = float(text)
    if not value > 0:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser(prog="mqfiled", allow_abbrev=False)
    parser.add_argument("--root", default=".", metavar="DIR")
    parser.add_argument("--queue", default="/mqfiled", metavar="/NAME")
    parser.add_argument("--pidfile", type=os.path.abspath, default=default_pidfile(), metavar="FILE")
    parser.add_argument("--user", metavar="NAME")
    parser.add_argument("--log", type=os.path.abspath, metavar="FILE")
    parser.add_argument("--stall", type=seconds, default=60, metavar="SECONDS")
    options = parser.parse_args()
    try:
        start(options)
    except Exception as error:
        text = f"mqfiled: {reason(error)}\n"
        os.write(2, text.encode(errors="backslashreplace"))
        os._exit(1)


if __name__ == "__main__":
    main()
