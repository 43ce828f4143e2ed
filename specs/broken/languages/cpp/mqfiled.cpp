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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

std::atomic<bool> asked_to_stop, asked_to_reopen;

constexpr auto look = 100ms; // how often what wakes nobody is looked for

std::string message_of(int error)
{
    return std::generic_category().message(error);
}

// ---- the command line ----

struct Options {
    std::string root = ".", queue = "/mqfiled", pidfile, user, log;
    double stall; // seconds
};

[[noreturn]] void usage()
{
    std::fputs("usage: mqfiled [--root DIR] [--queue /NAME] [--pidfile FILE] [--user NAME] [--log FILE] "
               "[--stall SECONDS]\n",
               stderr);
    std::exit(2);
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
    Options options;
    std::string stall = "60";
    std::string *const values[] = {&options.root, &options.queue, &options.pidfile,
                                   &options.user, &options.log,   &stall};
    static const option flags[] = {
        {"root", required_argument, nullptr, 0},    {"queue", required_argument, nullptr, 0},
        {"pidfile", required_argument, nullptr, 0}, {"user", required_argument, nullptr, 0},
        {"log", required_argument, nullptr, 0},     {"stall", required_argument, nullptr, 0},
        {},
    };
    int index, flag;
    options.pidfile = default_pidfile();
    while ((flag = getopt_long(argc, argv, "", flags, &index)) == 0)
        *values[index] = optarg;
    char *end;
    options.stall = std::min(std::strtod(stall.c_str(), &end), 1e6);
    if (flag != -1 || optind < argc || *end != '\0' || !(options.stall > 0))
        usage();
    options.pidfile = std::filesystem::absolute(options.pidfile);
    if (!options.log.empty())
        options.log = std::filesystem::absolute(options.log);
    return options;
}

// ---- the log ----

class Log {
public:
    void open(const std::string &path, uid_t uid, gid_t gid)
    {
        path_ = path;
        if (path.empty())
            openlog("mqfiled", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        else
            file_ = open_file(uid, gid);
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
        if (!file_) {
            syslog(LOG_INFO, "%s", one_line(text).c_str()); // where nobody listens, the line is lost
            return;
        }
        char date[32];
        const std::time_t now = std::time(nullptr);
        std::tm utc;
        std::strftime(date, sizeof date, "%FT%TZ ", gmtime_r(&now, &utc));
        const std::string whole = date + one_line(text) + '\n';
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

    std::string path_;
    Fd file_;
};

// ---- the PID file ----

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
        do {
            file_ = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644));
            if (!file_)
                throw system_error("PID file " + path);
            while (flock(file_.get(), LOCK_EX | LOCK_NB) == -1) {
                name_owner();
                // The winner of a race may not have written its PID yet: nobody's stands there, or a dead server's.
                if (Clock::now() - begin > 1s)
                    throw std::runtime_error("PID file " + path + ": locked by another process");
                std::this_thread::sleep_for(2ms);
            }
        } while (!is_at(file_.get(), path));
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
    void name_owner() const
    {
        char text[32] = "";
        const int pid = pread(file_.get(), text, sizeof text - 1, 0) > 0 ? std::atoi(text) : 0;
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
            throw std::runtime_error("already running, PID " + std::to_string(pid) + " (" + path_ + ")");
    }

    std::string path_;
    Fd file_;
};

// ---- the server ----

int pidfd_open(pid_t pid)
{
    return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

struct Client {
    Fd queue, process; // a PID that nobody has is not watched
    mq_attr shape;
};

// Why a transfer is given up: its client is gone or takes nothing, or the server stops.
struct GivenUp : std::runtime_error {
    using runtime_error::runtime_error;
};

class Server {
public:
    Server(const Options &options, Fd root)
        : name_(options.queue), root_(std::move(root)), stall_(std::lround(options.stall * 1000))
    {
        rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == -1)
            throw system_error("RLIMIT_NOFILE");
        places_ = std::clamp<rlim_t>(files.rlim_cur / 4, 4, 256); // a transfer has three descriptors
    }

    Log log;
    PidFile pidfile;

    // Returns whether this start made the queue. Nobody else may register before listen() does, hence the mode.
    bool open_queue()
    {
        if (!is_queue_name(name_))
            throw std::runtime_error("queue " + name_ + ": a name is one slash and what follows it");
        mq_attr shape{};
        shape.mq_msgsize = sizeof(Request);
        errno = EMFILE;
        for (shape.mq_maxmsg = 10; !queue_ && is_limit(errno) && shape.mq_maxmsg > 0; shape.mq_maxmsg--)
            queue_ = Fd(mq_open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &shape));
        const bool made = bool(queue_);
        if (!made && errno == EEXIST)
            queue_ = Fd(mq_open(name_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
        struct stat status;
        if (fstat(queue_.get(), &status) == -1 || mq_getattr(queue_.get(), &shape) == -1)
            throw system_error("queue " + name_);
        if (status.st_uid != geteuid())
            throw std::runtime_error("queue " + name_ + ": belongs to UID " + std::to_string(status.st_uid));
        if (shape.mq_msgsize != sizeof(Request))
            throw std::runtime_error("queue " + name_ + ": is there, with messages of another size");
        return made;
    }

    void listen()
    {
        if (!arm())
            throw system_error("queue " + name_ + ": mq_notify");
        if (fchmod(queue_.get(), queue_mode) == -1)
            throw system_error("queue " + name_);
    }

    // Requests that a crash has left announce themselves to nobody. Nor does one whose notification glibc dropped for
    // want of a thread, or a stranger took: whoever may send may register.
    void run()
    {
        log.line("serving on " + name_);
        while (!asked_to_stop) {
            arm();
            another();
            std::this_thread::sleep_for(look);
            if (asked_to_reopen.exchange(false))
                log.reopen();
        }
        stop();
    }

private:
    static bool is_limit(int error) { return error == EINVAL || error == EMFILE; } // mq_open(3)

    bool arm()
    {
        sigevent event{};
        event.sigev_notify = SIGEV_THREAD;
        event.sigev_value.sival_ptr = this;
        event.sigev_notify_function = [](sigval value) {
            // The registration is used up, and only a message into the empty queue uses the next one: so register
            // first and empty the queue then.
            static_cast<Server *>(value.sival_ptr)->arm();
            static_cast<Server *>(value.sival_ptr)->work();
        };
        return mq_notify(queue_.get(), &event) == 0;
    }

    // Serves one request after the other, and lets another thread look for the next one meanwhile.
    void work() noexcept
    {
        Request request;
        for (ssize_t size; (size = take(request)) >= 0;) {
            another();
            try {
                serve(request, size);
            } catch (const std::exception &error) {
                log.line(std::string("dropped: ") + error.what());
            }
            std::lock_guard lock(mutex_);
            if (--running_ == 0)
                idle_.notify_all();
        }
    }

    void another()
    {
        mq_attr state;
        if (mq_getattr(queue_.get(), &state) == -1 || state.mq_curmsgs == 0)
            return;
        try {
            std::thread(&Server::work, this).detach();
        } catch (const std::exception &error) {
            log.line(error.what()); // the request is still in the queue
        }
    }

    // Takes a request and counts it in one step, so that none is taken once stop() has begun. What finds no place stays
    // in the queue until a transfer ends.
    ssize_t take(Request &request)
    {
        std::lock_guard lock(mutex_);
        if (stopping_ || running_ >= places_)
            return -1;
        request = {};
        const ssize_t size = mq_receive(queue_.get(), reinterpret_cast<char *>(&request), sizeof request, nullptr);
        if (size >= 0)
            running_++;
        return size;
    }

    void serve(const Request &request, std::size_t size)
    {
        const std::string_view name(request.reply, strnlen(request.reply, sizeof request.reply));
        if (size <= request_head || name.size() == sizeof request.reply || !is_queue_name(name))
            throw std::runtime_error("a request without the name of a reply queue");
        // Not to be opened even for a look: closing it would end the registration (mq_notify(3)).
        if (name == name_)
            throw std::runtime_error("a request that names the request queue as reply queue");
        if (strnlen(request.path, sizeof request.path) != size - request_head - 1)
            throw std::runtime_error("a request whose path does not end where it ends");

        Client client{Fd(mq_open(request.reply, O_WRONLY | O_CLOEXEC)), Fd(pidfd_open(request.pid)), {}};
        if (!client.queue || mq_getattr(client.queue.get(), &client.shape) == -1)
            throw system_error("reply queue");
        if (client.shape.mq_msgsize < 256)
            throw std::runtime_error("a reply queue of small messages");
        std::string outcome = "done";
        try {
            transfer(client, request.path);
        } catch (const GivenUp &error) {
            outcome = error.what();
            refuse(client, outcome, 250ms);
        } catch (const std::exception &error) {
            outcome = error.what();
            refuse(client, outcome, stall_);
        }
        log.line("client " + std::to_string(request.pid) + ", \"" + request.path + "\": " + outcome);
    }

    void refuse(const Client &client, std::string_view why, milliseconds patience)
    {
        try {
            send(client, Failure, why.substr(0, client.shape.mq_msgsize), patience);
        } catch (const GivenUp &) {
            // Its queue has no room.
        }
    }

    void transfer(const Client &client, const char *path)
    {
        Fd file = open_file(path);
        struct stat status;
        char byte;
        if (fstat(file.get(), &status) == -1)
            throw std::runtime_error(message_of(errno));
        if (!S_ISREG(status.st_mode))
            throw std::runtime_error(S_ISDIR(status.st_mode) ? message_of(EISDIR) : "not a regular file");
        if (status.st_size == 0 && pread(file.get(), &byte, 1, 0) != 0) // as in /proc
            throw std::runtime_error("its file system does not report its size");

        std::uint64_t left = status.st_size;
        std::vector<char> buffer(std::min<std::uint64_t>(left, client.shape.mq_msgsize));
        send(client, Info, {reinterpret_cast<const char *>(&left), sizeof left}, stall_);
        while (left > 0) {
            const std::size_t wanted = std::min<std::uint64_t>(left, buffer.size());
            for (std::size_t have = 0; have < wanted;) {
                const ssize_t n = read(file.get(), buffer.data() + have, wanted - have);
                if (n == 0 || (n == -1 && errno != EINTR))
                    throw std::runtime_error(n == 0 ? "the file shrank while it was being sent" : message_of(errno));
                have += std::max<ssize_t>(n, 0);
            }
            send(client, Data, {buffer.data(), wanted}, stall_);
            left -= wanted;
        }
        send(client, End, "", stall_);
    }

    // The kernel itself keeps the path below the root: a check before the open would leave time for a change.
    Fd open_file(const char *path) const
    {
        open_how how{};
        how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; // a FIFO does not block
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        const char *below = path + std::strspn(path, "/");
        if (*path == '\0')
            throw std::runtime_error("the path is empty");
        for (int tries = 50;; tries--) {
            Fd file(static_cast<int>(syscall(SYS_openat2, root_.get(), *below ? below : ".", &how, sizeof how)));
            if (file)
                return file;
            if (errno != EAGAIN || tries == 0) // which passes: a rename meanwhile, or a lease
                throw std::runtime_error(errno == EXDEV ? "outside the directory served" : message_of(errno));
            std::this_thread::sleep_for(10ms);
        }
    }

    // Waits for room, and looks now and then whether there is still a reason to.
    void send(const Client &client, Response type, std::string_view body, milliseconds patience)
    {
        for (const auto begin = Clock::now();;) {
            if (cutting_ && type != Failure)
                throw GivenUp("the server is stopping");
            const auto until = milliseconds_from_now(std::min(patience, look).count());
            if (mq_timedsend(client.queue.get(), body.data(), body.size(), type, &until) == 0)
                return;
            pollfd end{client.process.get(), POLLIN, 0};
            if (errno != ETIMEDOUT && errno != EINTR)
                throw GivenUp(message_of(errno));
            if (poll(&end, 1, 0) > 0)
                throw GivenUp("the client is gone");
            if (Clock::now() - begin >= patience)
                throw GivenUp("the client takes nothing");
        }
    }

    void stop()
    {
        std::unique_lock lock(mutex_);
        const auto none_runs = [this] { return running_ == 0; };
        stopping_ = true;
        mq_unlink(name_.c_str());
        if (!idle_.wait_for(lock, 5s, none_runs)) {
            cutting_ = true;
            idle_.wait_for(lock, 500ms, none_runs);
        }
        pidfile.remove();
        log.line("stopped");
    }

    const std::string name_;
    const Fd root_;
    const milliseconds stall_;
    Fd queue_;
    rlim_t places_;
    std::atomic<bool> cutting_ = false;

    std::mutex mutex_;
    std::condition_variable idle_;
    rlim_t running_ = 0; // under the mutex
    bool stopping_ = false;
};

// ---- becoming a daemon ----

// What the daemon lets the original know, in memory that both have. The end of a pipe says that there is no more.
struct News {
    pid_t daemon;
    bool made_pidfile, made_queue, ready;
    char why[512]; // if not
};

struct Account {
    uid_t uid;
    gid_t gid;
};

Account find_account(const std::string &name)
{
    const passwd *entry = getpwnam(name.empty() ? "nobody" : name.c_str());
    if (!entry && (geteuid() == 0 || !name.empty()))
        throw std::runtime_error("user " + name + ": there is no such user");
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

void handle_signals()
{
    struct sigaction action {};
    action.sa_handler = [](int signal) { (signal == SIGHUP ? asked_to_reopen : asked_to_stop) = true; };
    action.sa_flags = SA_RESTART;
    for (int signal : {SIGHUP, SIGTERM, SIGINT})
        sigaction(signal, &action, nullptr);
}

void clean_environment()
{
    static constexpr std::string_view names[] = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"};
    std::vector<char *> kept;
    for (char **entry = environ; entry && *entry; entry++) {
        const std::string_view variable(*entry);
        const auto name = variable.substr(0, variable.find('='));
        if (name.size() < variable.size() && (name.starts_with("LC_") || std::ranges::count(names, name) > 0))
            kept.push_back(*entry);
    }
    clearenv();
    for (char *entry : kept)
        putenv(entry);
}

// The groups first, while it is still allowed. A securebit of the starter can keep capabilities: capabilities(7).
void drop_privileges(Account account)
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (setgroups(0, nullptr) == -1 || setresgid(account.gid, account.gid, account.gid) == -1 ||
        setresuid(account.uid, account.uid, account.uid) == -1 || syscall(SYS_capset, &header, none) == -1)
        throw system_error("giving up privileges");
}

[[noreturn]] void fail(News &news, const std::string &why)
{
    why.copy(news.why, sizeof news.why - 1);
    _exit(1);
}

[[noreturn]] void be_daemon(const Options &options, Account account, Fd root, Fd pipe, News &news)
{
    try {
        news.daemon = getpid();
        handle_signals();
        mallopt(M_ARENA_MAX, 2); // threads come and go: let them share their memory
        Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
        for (int fd : {0, 1, 2})
            if (dup2(null.get(), fd) == -1)
                throw system_error("/dev/null");
        umask(0);
        if (chdir("/") == -1)
            throw system_error("/");

        Server server(options, std::move(root));
        server.log.open(options.log, account.uid, account.gid);
        news.made_pidfile = server.pidfile.lock(options.pidfile);
        server.pidfile.write_pid();
        if (geteuid() == 0)
            drop_privileges(account);
        news.made_queue = server.open_queue();
        server.listen();
        news.ready = true;
        pipe.reset();
        server.run();
        _exit(0); // threads that are still at work have no destructors to meet
    } catch (const std::exception &error) {
        fail(news, error.what());
    }
}

// ---- the original process ----

// Removes what a daemon made that did not get ready.
void clean_up(const Options &options, const News &news)
{
    // The pipe ends a moment before the process does.
    Fd process(pidfd_open(news.daemon));
    pollfd end{process.get(), POLLIN, 0};
    if (process)
        poll(&end, 1, 2000);

    // mqueuefs reports whether another server has registered for it meanwhile.
    char line[128] = "";
    Fd queue(news.made_queue ? mq_open(options.queue.c_str(), O_RDONLY | O_NONBLOCK) : -1);
    if (queue && read(queue.get(), line, sizeof line - 1) > 0 && std::strstr(line, "NOTIFY_PID:0 "))
        mq_unlink(options.queue.c_str());

    // Who holds the lock is another server, which has taken the file over.
    Fd file(news.made_pidfile ? open(options.pidfile.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK) : -1);
    if (file && flock(file.get(), LOCK_EX | LOCK_NB) == 0 && is_at(file.get(), options.pidfile))
        unlink(options.pidfile.c_str());
}

void start(const Options &options)
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
    void *memory = mmap(nullptr, sizeof(News), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe2(ends, O_CLOEXEC) == -1)
        throw system_error("pipe");
    News &news = *static_cast<News *>(memory);
    Fd in(ends[0]), out(ends[1]);

    // The middle process leads the new session. The daemon does not, so that no terminal can become its own.
    const pid_t middle = fork();
    if (middle == -1)
        throw system_error("fork");
    if (middle == 0) {
        in.reset();
        const pid_t daemon = setsid() == -1 ? -1 : fork();
        if (daemon == 0)
            be_daemon(options, account, std::move(root), std::move(out), news);
        if (daemon == -1)
            fail(news, "fork: " + message_of(errno));
        _exit(0);
    }
    out.reset();
    while (waitpid(middle, nullptr, 0) == -1 && errno == EINTR)
        ;
    char byte;
    while (read(in.get(), &byte, 1) == -1 && errno == EINTR)
        ;
    if (!news.ready) {
        clean_up(options, news);
        throw std::runtime_error(*news.why ? news.why : "the daemon died before it was ready");
    }
}

} // namespace

int main(int argc, char *argv[])
{
    try {
        fill_standard_descriptors();
        start(parse(argc, argv));
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "mqfiled: %s\n", one_line(error.what()).c_str());
        return 1;
    }
}
