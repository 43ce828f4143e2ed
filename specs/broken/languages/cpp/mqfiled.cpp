// mqfiled: a file server that is a daemon, is asked over a POSIX message queue and answers in threads.
#include "common.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <mqueue.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr rlim_t most_transfers = 256; // at once
constexpr rlim_t descriptors_each = 3; // the reply queue, a pidfd, the file

// ---- the command line ----

struct Options {
    std::string root = ".", queue = "/mqfiled", pidfile, log;
    std::optional<std::string> user;
    double stall = 60;
};

[[noreturn]] void usage()
{
    std::fputs("usage: mqfiled [--root DIR] [--queue /NAME] [--pidfile FILE] [--user NAME] [--log FILE] "
               "[--stall SECONDS]\n",
               stderr);
    std::exit(2);
}

double seconds(const char *text)
{
    char *end;
    double value = std::strtod(text, &end);
    if (end == text || *end != '\0' || !std::isfinite(value) || value <= 0)
        usage();
    return std::min(value, 1e6);
}

std::string default_pidfile()
{
    const char *directory = std::getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0)
        return "/run/mqfiled.pid";
    if (directory && *directory)
        return std::string(directory) + "/mqfiled.pid";
    return "/tmp/mqfiled-" + std::to_string(geteuid()) + ".pid";
}

Options parse(int argc, char *argv[])
{
    static const option flags[] = {
        {"root", required_argument, nullptr, 'r'}, {"queue", required_argument, nullptr, 'q'},
        {"user", required_argument, nullptr, 'u'}, {"pidfile", required_argument, nullptr, 'p'},
        {"log", required_argument, nullptr, 'l'},  {"stall", required_argument, nullptr, 's'},
        {},
    };
    Options options;
    options.pidfile = default_pidfile();
    for (int flag; (flag = getopt_long(argc, argv, "", flags, nullptr)) != -1;) {
        switch (flag) {
        case 'r': options.root = optarg; break;
        case 'q': options.queue = optarg; break;
        case 'u': options.user = optarg; break;
        case 'p': options.pidfile = optarg; break;
        case 'l': options.log = std::filesystem::absolute(optarg); break;
        case 's': options.stall = seconds(optarg); break;
        default: usage();
        }
    }
    if (optind < argc)
        usage();
    options.pidfile = std::filesystem::absolute(options.pidfile);
    return options;
}

// ---- the log ----

class Log {
public:
    void open(const std::string &path, uid_t uid, gid_t gid)
    {
        path_ = path;
        if (!path.empty())
            file_ = open_file(uid, gid);
        else if ((syslog_ = syslog_answers()))
            openlog("mqfiled", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    }

    // dup3(2) exchanges the file in one step, so that no thread needs a lock to write.
    void reopen()
    {
        if (!file_)
            return;
        try {
            dup3(open_file(geteuid(), getegid()).get(), file_.get(), O_CLOEXEC);
        } catch (const std::system_error &error) {
            line(std::string(error.what()) + "; keeping the old file");
        }
    }

    void line(const std::string &text) const
    {
        if (syslog_)
            syslog(LOG_INFO, "%s", one_line(text).c_str());
        if (!file_)
            return;
        char date[32];
        std::time_t now = std::time(nullptr);
        std::tm utc;
        std::strftime(date, sizeof date, "%FT%TZ ", gmtime_r(&now, &utc));
        std::string whole = date + one_line(text) + '\n';
        // A single write(2) with O_APPEND: the lines of two threads do not mix.
        if (write(file_.get(), whole.data(), whole.size()) < 0)
            return;
    }

private:
    // The account has to be able to open it again. A link could lead root into any file: it is not followed.
    Fd open_file(uid_t uid, gid_t gid) const
    {
        const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        Fd file(::open(path_.c_str(), flags | O_CREAT | O_EXCL, 0640));
        if (file && fchown(file.get(), uid, gid) == -1)
            throw system_error("log " + path_);
        if (!file && errno == EEXIST)
            file = Fd(::open(path_.c_str(), flags));
        if (!file)
            throw system_error("log " + path_);
        return file;
    }

    static bool syslog_answers()
    {
        const sockaddr_un address{AF_UNIX, "/dev/log"};
        Fd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        return connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0 ||
               errno == EPROTOTYPE; // it listens, on a stream
    }

    std::string path_;
    Fd file_;
    bool syslog_ = false;
};

// ---- the PID file ----

pid_t read_pid(int fd)
{
    char text[32] = "";
    return pread(fd, text, sizeof text - 1, 0) > 0 ? std::atoi(text) : 0;
}

// Whether the path still leads to the open file: its former owner may have removed it before it was locked here.
bool is_at(int fd, const std::string &path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

class PidFile {
public:
    // Returns whether this start made the file.
    bool lock(const std::string &path)
    {
        const auto begin = Clock::now();
        path_ = path;
        while (!file_) {
            Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644));
            if (!file)
                throw system_error("PID file " + path);
            if (flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
                if (is_at(file.get(), path))
                    file_ = std::move(file);
            } else if (errno != EWOULDBLOCK) {
                throw system_error("PID file " + path);
            } else {
                name_owner(file.get(), Clock::now() - begin > 1s);
            }
        }
        struct stat status;
        if (fstat(file_.get(), &status) == -1 || !S_ISREG(status.st_mode))
            throw std::runtime_error("PID file " + path + ": not a regular file");
        return status.st_size == 0;
    }

    void write_pid()
    {
        const std::string text = std::to_string(getpid()) + '\n';
        const ssize_t size = text.size();
        if (fchmod(file_.get(), 0644) == -1 || pwrite(file_.get(), text.data(), size, 0) != size ||
            ftruncate(file_.get(), size) == -1)
            throw system_error("PID file " + path_);
    }

    void remove()
    {
        if (!is_at(file_.get(), path_) || unlink(path_.c_str()) == -1)
            if (ftruncate(file_.get(), 0) == -1)
                return;
    }

private:
    // The winner of a race may not have written its PID yet: what stands there is then nobody's, or a dead server's.
    void name_owner(int fd, bool enough)
    {
        pid_t pid = read_pid(fd);
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
            throw std::runtime_error("already running, PID " + std::to_string(pid) + " (" + path_ + ")");
        if (enough)
            throw std::runtime_error("PID file " + path_ + ": locked by another process");
        std::this_thread::sleep_for(2ms);
    }

    std::string path_;
    Fd file_;
};

// ---- signals ----

std::atomic<bool> asked_to_stop, asked_to_reopen;
int wake = -1; // an eventfd that the main thread waits for

// It may run in any thread, and does what signal-safety(7) allows.
void on_signal(int signal)
{
    const int saved = errno;
    (signal == SIGHUP ? asked_to_reopen : asked_to_stop) = true;
    eventfd_write(wake, 1);
    errno = saved;
}

void handle_signals()
{
    if ((wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
        throw system_error("eventfd");
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    for (int signal : {SIGHUP, SIGTERM, SIGINT})
        sigaction(signal, &action, nullptr);
    signal(SIGPIPE, SIG_IGN); // the original may be gone
}

// ---- one transfer ----

// Why a client gets no file, or no more of it. It hears of it if its queue has room in time.
struct Refusal {
    std::string why;
    std::optional<milliseconds> patience; // none: nobody is there to hear it
};

std::string message_of(int error)
{
    return std::generic_category().message(error);
}

class Reply {
public:
    // cut becomes readable when transfers have to end.
    Reply(const Request &request, int cut)
        : queue_(mq_open(request.reply, O_WRONLY | O_NONBLOCK)), cut_(cut)
    {
        mq_attr shape;
        if (!queue_ || mq_getattr(queue_.get(), &shape) == -1)
            throw system_error("reply queue");
        if (shape.mq_msgsize < smallest_message)
            throw std::runtime_error("reply queue: its messages are too small");
        piece_ = shape.mq_msgsize;
        client_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, request.pid, 0)));
    }

    std::size_t piece() const { return piece_; }

    // A queue is a descriptor: poll(2) watches it, the client's life and the server's end together.
    void send(Response type, const char *body, std::size_t size, milliseconds patience)
    {
        const auto until = Clock::now() + patience;
        while (mq_send(queue_.get(), body, size, type) == -1) {
            if (errno != EAGAIN)
                throw Refusal{message_of(errno), {}};
            pollfd events[] = {{client_.get(), POLLIN, 0}, {cut_, POLLIN, 0}, {queue_.get(), POLLOUT, 0}};
            auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
            int ready = poll(events, 3, static_cast<int>(std::max(left, 0ms).count()));
            if (ready == -1)
                continue; // a signal
            if (events[0].revents)
                throw Refusal{"the client is gone", {}};
            if (events[1].revents)
                throw Refusal{"the server is stopping", 250ms};
            if (ready == 0)
                throw Refusal{"the client takes nothing", 0ms};
        }
    }

    void refuse(const Refusal &refusal)
    {
        if (!refusal.patience)
            return;
        cut_ = -1;
        try {
            send(Failure, refusal.why.data(), std::min(refusal.why.size(), piece_), *refusal.patience);
        } catch (const Refusal &) {
            // Its queue has no room.
        }
    }

private:
    Fd queue_, client_; // a PID that nobody has is not watched
    int cut_;
    std::size_t piece_;
};

void read_whole(int file, char *to, std::size_t size, milliseconds patience)
{
    while (size > 0) {
        ssize_t n = read(file, to, size);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            throw Refusal{n == 0 ? "the file became shorter" : message_of(errno), patience};
        to += n;
        size -= n;
    }
}

// ---- the server ----

class Server {
public:
    Server(const Options &options, Fd root)
        : name_(options.queue), root_(std::move(root)), cut_(eventfd(0, EFD_CLOEXEC)),
          stall_(static_cast<long>(options.stall * 1000))
    {
        if (!cut_)
            throw system_error("eventfd");
        rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == -1)
            throw system_error("RLIMIT_NOFILE");
        places_ = std::clamp<rlim_t>(files.rlim_cur / descriptors_each, 10, most_transfers + 5) - 5; // some are its own
    }

    Log log;
    PidFile pidfile;

    // Returns whether this start made the queue.
    bool open_queue();
    void listen();
    void run();

private:
    bool arm();
    void notified() noexcept;
    void look_into_queue();
    void drain();
    std::optional<std::vector<char>> take();
    void work(std::vector<char> message) noexcept;
    void serve(const std::vector<char> &message);
    Fd open_file(const char *path);
    std::uint64_t transfer(Reply &reply, const char *path);
    void stop();

    const std::string name_;
    const Fd root_, cut_;
    const milliseconds stall_;
    Fd queue_;
    long message_size_ = 0;
    rlim_t places_;
    std::atomic<bool> cutting_ = false;

    std::mutex mutex_;
    std::condition_variable idle_;
    unsigned running_ = 0; // under the mutex
    bool stopping_ = false;
};

bool Server::open_queue()
{
    if (!is_queue_name(name_))
        throw std::runtime_error("queue " + name_ + ": a name is one slash and what follows it");
    bool made = false;
    while (!queue_) {
        // Nobody else may register before listen() does, hence the mode.
        mq_attr shape{};
        shape.mq_msgsize = sizeof(Request);
        for (shape.mq_maxmsg = 10; !queue_ && shape.mq_maxmsg > 0; shape.mq_maxmsg--) {
            queue_ = Fd(mq_open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &shape));
            if (!queue_ && errno != EINVAL && errno != EMFILE) // which limits cause: mq_open(3)
                break;
        }
        made = bool(queue_);
        if (!made && errno == EEXIST)
            queue_ = Fd(mq_open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        if (!queue_ && errno != ENOENT)
            throw system_error("queue " + name_);
    }
    struct stat status;
    mq_attr shape;
    if (fstat(queue_.get(), &status) == -1 || mq_getattr(queue_.get(), &shape) == -1)
        throw system_error("queue " + name_);
    if (status.st_uid != geteuid())
        throw std::runtime_error("queue " + name_ + ": belongs to UID " + std::to_string(status.st_uid));
    if (shape.mq_msgsize < static_cast<long>(sizeof(Request)))
        throw std::runtime_error("queue " + name_ + ": is there, with messages that are too small");
    message_size_ = shape.mq_msgsize;
    return made;
}

void Server::listen()
{
    if (!arm())
        throw system_error("queue " + name_ + ": mq_notify");
    if (fchmod(queue_.get(), queue_mode) == -1)
        throw system_error("queue " + name_);
}

bool Server::arm()
{
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_value.sival_ptr = this;
    event.sigev_notify_function = [](sigval value) { static_cast<Server *>(value.sival_ptr)->notified(); };
    return mq_notify(queue_.get(), &event) == 0;
}

// The registration is used up, and only a message into the empty queue uses the next one: so register first and empty
// the queue then. EBUSY: another thread has done so.
void Server::notified() noexcept
{
    try {
        if (!arm() && errno != EBUSY)
            log.line("mq_notify: " + message_of(errno));
        drain();
    } catch (const std::exception &error) {
        log.line(error.what());
    }
}

// Requests that a crash has left announce themselves to nobody. Nor does one whose notification glibc dropped for want
// of a thread, or a stranger took: whoever may send may register.
void Server::look_into_queue()
{
    arm();
    mq_attr state;
    if (mq_getattr(queue_.get(), &state) == -1 || state.mq_curmsgs == 0)
        return;
    try {
        std::thread(&Server::notified, this).detach();
    } catch (const std::system_error &error) {
        log.line(error.what());
    }
}

void Server::drain()
{
    while (auto message = take()) {
        try {
            std::thread(&Server::work, this, *message).detach();
        } catch (const std::system_error &) {
            work(std::move(*message)); // no more threads: this is one
        }
    }
}

// Takes a request and counts it in one step, so that none is taken once stop() has begun. What finds no place stays in
// the queue until a transfer ends.
std::optional<std::vector<char>> Server::take()
{
    std::lock_guard lock(mutex_);
    if (stopping_ || running_ >= places_)
        return {};
    std::vector<char> message(message_size_);
    ssize_t size = mq_receive(queue_.get(), message.data(), message.size(), nullptr);
    if (size == -1)
        return {};
    running_++;
    message.resize(size);
    return message;
}

void Server::work(std::vector<char> message) noexcept
{
    for (std::optional<std::vector<char>> next = std::move(message); next;) {
        try {
            serve(*next);
        } catch (const std::exception &error) {
            log.line(std::string("dropped: ") + error.what());
        }
        {
            std::lock_guard lock(mutex_);
            if (--running_ == 0)
                idle_.notify_all();
        }
        try {
            next = take();
        } catch (const std::bad_alloc &) {
            next.reset();
        }
    }
}

void Server::serve(const std::vector<char> &message)
{
    Request request{};
    if (message.size() <= request_head || message.size() > sizeof request)
        throw std::runtime_error("a request of " + std::to_string(message.size()) + " bytes");
    std::memcpy(&request, message.data(), message.size());
    const std::string_view name(request.reply, strnlen(request.reply, sizeof request.reply));
    if (name.size() == sizeof request.reply || !is_queue_name(name))
        throw std::runtime_error("a request whose reply queue has no name");
    // Not to be opened even for a look: closing it would end the registration (mq_notify(3)).
    if (name == name_)
        throw std::runtime_error("a request that names the request queue as reply queue");
    if (strnlen(request.path, sizeof request.path) != message.size() - request_head - 1)
        throw std::runtime_error("a request whose path does not end where it ends");

    Reply reply(request, cut_.get());
    const std::string who = "client " + std::to_string(request.pid) + ", \"" + request.path + "\": ";
    try {
        log.line(who + std::to_string(transfer(reply, request.path)) + " bytes sent");
    } catch (const Refusal &refusal) {
        reply.refuse(refusal);
        log.line(who + refusal.why);
    }
}

// The kernel itself keeps the path below the root: a check before the open would leave time for a change in between.
Fd Server::open_file(const char *path)
{
    open_how how{};
    how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; // a FIFO does not block
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const char *below = path + std::strspn(path, "/");
    if (*path == '\0')
        throw Refusal{"the path is empty", stall_};
    for (int tries = 50;; tries--) {
        Fd file(static_cast<int>(syscall(SYS_openat2, root_.get(), *below ? below : ".", &how, sizeof how)));
        if (file)
            return file;
        if (errno != EAGAIN || tries == 0) // which passes: a rename meanwhile, or a lease
            throw Refusal{errno == EXDEV ? "outside the directory served" : message_of(errno), stall_};
        std::this_thread::sleep_for(10ms);
    }
}

std::uint64_t Server::transfer(Reply &reply, const char *path)
{
    Fd file = open_file(path);
    struct stat status;
    char byte;
    if (fstat(file.get(), &status) == -1)
        throw Refusal{message_of(errno), stall_};
    if (!S_ISREG(status.st_mode))
        throw Refusal{S_ISDIR(status.st_mode) ? message_of(EISDIR) : "not a regular file", stall_};
    if (status.st_size == 0 && pread(file.get(), &byte, 1, 0) != 0) // as in /proc
        throw Refusal{"its file system does not tell its size", stall_};

    const std::uint64_t size = status.st_size;
    std::vector<char> buffer(std::min<std::uint64_t>(size, reply.piece()));
    reply.send(Info, reinterpret_cast<const char *>(&size), sizeof size, stall_);
    for (std::uint64_t left = size; left > 0;) {
        const std::size_t piece = std::min<std::uint64_t>(left, buffer.size());
        if (cutting_)
            throw Refusal{"the server is stopping", 250ms};
        read_whole(file.get(), buffer.data(), piece, stall_);
        reply.send(Data, buffer.data(), piece, stall_);
        left -= piece;
    }
    reply.send(End, "", 0, stall_);
    return size;
}

void Server::run()
{
    log.line("serving on " + name_);
    while (!asked_to_stop) {
        look_into_queue();
        pollfd woken{wake, POLLIN, 0};
        eventfd_t count;
        if (poll(&woken, 1, 1000) > 0)
            eventfd_read(wake, &count);
        if (asked_to_reopen.exchange(false))
            log.reopen();
    }
    stop();
}

void Server::stop()
{
    std::unique_lock lock(mutex_);
    const auto none_runs = [this] { return running_ == 0; };
    stopping_ = true;
    mq_unlink(name_.c_str());
    if (!idle_.wait_for(lock, 5s, none_runs)) {
        cutting_ = true;
        eventfd_write(cut_.get(), 1); // nobody reads it: it stays readable for all
        idle_.wait_for(lock, 500ms, none_runs);
    }
    pidfile.remove();
    log.line("stopped");
}

// ---- becoming a daemon ----

struct Account {
    uid_t uid;
    gid_t gid;
};

Account find_account(const std::optional<std::string> &name)
{
    if (!name && geteuid() != 0)
        return {geteuid(), getegid()};
    const std::string user = name.value_or("nobody");
    const passwd *entry = getpwnam(user.c_str());
    if (!entry)
        throw std::runtime_error("user " + user + ": there is no such user");
    if (geteuid() != 0)
        return {geteuid(), getegid()};
    return {entry->pw_uid, entry->pw_gid};
}

// By system call, since glibc refuses its own two, 32 and 33, which a starter may have ignored as well.
void reset_signals()
{
    static const long default_action[8] = {};
    for (int signal = 1; signal < _NSIG; signal++)
        syscall(SYS_rt_sigaction, signal, default_action, nullptr, _NSIG / 8);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
}

void clean_environment()
{
    static constexpr std::string_view kept[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"};
    std::vector<std::pair<std::string, std::string>> variables;
    for (char **entry = environ; entry && *entry; entry++) {
        const std::string_view variable(*entry);
        const auto name = variable.substr(0, variable.find('='));
        if (name.size() < variable.size() && (name.starts_with("LC_") || std::ranges::count(kept, name) > 0))
            variables.emplace_back(name, variable.substr(name.size() + 1));
    }
    clearenv();
    for (const auto &[name, value] : variables)
        setenv(name.c_str(), value.c_str(), 1);
}

// The groups first, while it is still allowed. A securebit of the starter can keep capabilities: capabilities(7).
void drop_privileges(Account account)
{
    if (setgroups(0, nullptr) == -1 || setresgid(account.gid, account.gid, account.gid) == -1 ||
        setresuid(account.uid, account.uid, account.uid) == -1)
        throw system_error("giving up privileges");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capset, &header, none) == -1)
        throw system_error("capset");
}

// The daemon's news for the original are lines of a pipe: "pid N", what it made, then "ready" or "failed WHY".
void tell(const Fd &pipe, const std::string &news)
{
    const std::string line = one_line(news) + '\n';
    if (write(pipe.get(), line.data(), line.size()) < 0)
        return; // the original is gone
}

[[noreturn]] void be_daemon(const Options &options, Account account, Fd root, Fd pipe)
{
    try {
        tell(pipe, "pid " + std::to_string(getpid()));
        handle_signals();
        mallopt(M_ARENA_MAX, 2); // threads come and go: let them share their memory
        {
            Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
            for (int fd : {0, 1, 2})
                if (dup2(null.get(), fd) == -1)
                    throw system_error("/dev/null");
        }
        umask(0);
        if (chdir("/") == -1)
            throw system_error("/");

        Server server(options, std::move(root));
        server.log.open(options.log, account.uid, account.gid);
        if (server.pidfile.lock(options.pidfile))
            tell(pipe, "pidfile");
        server.pidfile.write_pid();
        if (geteuid() == 0)
            drop_privileges(account);
        if (server.open_queue())
            tell(pipe, "queue");
        server.listen();
        tell(pipe, "ready");
        pipe.reset();
        server.run();
        _exit(0); // threads that are still at work have no destructors to meet
    } catch (const std::exception &error) {
        tell(pipe, std::string("failed ") + error.what());
        _exit(1);
    }
}

// ---- the original process ----

std::string read_to_end(const Fd &pipe)
{
    std::string all;
    char part[4096];
    for (ssize_t n; (n = read(pipe.get(), part, sizeof part)) != 0;)
        if (n > 0)
            all.append(part, n);
        else if (errno != EINTR)
            break;
    return all;
}

// The pipe ends a moment before the process does.
void wait_for_end(pid_t pid)
{
    Fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    pollfd end{process.get(), POLLIN, 0};
    if (process)
        poll(&end, 1, 2000);
}

// Who holds the lock is another server, which has taken the file over.
void remove_pidfile(const std::string &path)
{
    Fd file(open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file && flock(file.get(), LOCK_EX | LOCK_NB) == 0 && is_at(file.get(), path))
        unlink(path.c_str());
}

// mqueuefs reports whether another server has registered for it meanwhile.
void remove_queue(const std::string &name)
{
    char line[128] = "";
    Fd queue(mq_open(name.c_str(), O_RDONLY | O_NONBLOCK));
    if (queue && read(queue.get(), line, sizeof line - 1) > 0 && std::strstr(line, "NOTIFY_PID:0 "))
        mq_unlink(name.c_str());
}

int await_daemon(const Options &options, const Fd &pipe)
{
    std::string why = "the daemon died before it was ready";
    bool ready = false, made_pidfile = false, made_queue = false;
    pid_t daemon = 0;
    std::istringstream news(read_to_end(pipe));
    for (std::string line; std::getline(news, line);) {
        if (line.starts_with("pid "))
            daemon = std::stoi(line.substr(4));
        else if (line.starts_with("failed "))
            why = line.substr(7);
        ready |= line == "ready";
        made_pidfile |= line == "pidfile";
        made_queue |= line == "queue";
    }
    if (ready)
        return 0;
    if (daemon != 0)
        wait_for_end(daemon);
    if (made_queue)
        remove_queue(options.queue);
    if (made_pidfile)
        remove_pidfile(options.pidfile);
    throw std::runtime_error(why);
}

int start(const Options &options)
{
    if (close_range(3, ~0U, 0) == -1)
        throw system_error("close_range");
    reset_signals();
    clean_environment();
    const Account account = find_account(options.user);
    Fd root(open(options.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        throw system_error("root " + options.root);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1)
        throw system_error("pipe");
    Fd in(ends[0]), out(ends[1]);

    // The middle process leads the new session. The daemon does not, so that no terminal can become its own.
    const pid_t middle = fork();
    if (middle == -1)
        throw system_error("fork");
    if (middle == 0) {
        in.reset();
        const pid_t daemon = setsid() == -1 ? -1 : fork();
        if (daemon == 0)
            be_daemon(options, account, std::move(root), std::move(out));
        if (daemon == -1)
            tell(out, "failed " + message_of(errno));
        _exit(0);
    }
    out.reset();
    while (waitpid(middle, nullptr, 0) == -1 && errno == EINTR)
        ;
    return await_daemon(options, in);
}

} // namespace

int main(int argc, char *argv[])
{
    try {
        fill_standard_descriptors();
        return start(parse(argc, argv));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "mqfiled: %s\n", one_line(error.what()).c_str());
        return 1;
    }
}
