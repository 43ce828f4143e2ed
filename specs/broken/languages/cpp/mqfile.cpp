// mqfile: asks mqfiled for a file.
#include "common.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include <getopt.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

namespace fs = std::filesystem;

namespace {

constexpr int patience = 10; // seconds without anything from the server

enum Status { Failed = 1, Usage = 2, NoServer = 3 };

struct Error : std::runtime_error {
    Status status;
    Error(Status status, const std::string &why) : runtime_error(why), status(status) {}
};

[[noreturn]] void usage()
{
    std::fputs("usage: mqfile [--queue /NAME] [-o FILE] PATH\n", stderr);
    std::exit(Usage);
}

// 128 random bits, for names that nobody guesses.
std::string unguessable()
{
    std::random_device random;
    char text[40];
    std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
    return text;
}

// What must not be left. The mutex is held while something is made or put away, so that a signal finds it either known
// or not there.
std::mutex leftovers;
std::string queue_left, file_left; // under the mutex

// Removes everything, for good: after this nothing is made any more, and a signal comes too late.
[[noreturn]] void end(int status)
{
    leftovers.lock();
    if (!queue_left.empty())
        mq_unlink(queue_left.c_str());
    if (!file_left.empty())
        unlink(file_left.c_str());
    _exit(status);
}

// A thread takes the signals that would end the program, and no handler has to watch what it calls. What the starter
// ignores, as nohup(1) does SIGHUP, stays ignored, but for SIGINT and SIGTERM.
void watch_signals()
{
    static sigset_t ending;
    sigemptyset(&ending);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGVTALRM, SIGPROF}) {
        struct sigaction old;
        sigaction(signal, nullptr, &old);
        if (old.sa_handler != SIG_IGN || signal == SIGINT || signal == SIGTERM)
            sigaddset(&ending, signal);
    }
    signal(SIGPIPE, SIG_IGN); // an error of write(2), as SIGXFSZ is
    signal(SIGXFSZ, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    std::thread([] {
        int signal;
        sigwait(&ending, &signal);
        end(128 + signal);
    }).detach();
}

// A regular file is replaced by a new one beside it. To a device or a FIFO the bytes go.
class Output {
public:
    explicit Output(const char *path)
    {
        struct stat present {};
        if (!path) {
            file_ = Fd(STDOUT_FILENO);
            return;
        }
        const bool exists = stat(path, &present) == 0;
        if ((!exists && errno != ENOENT) || (exists && access(path, W_OK) == -1))
            throw system_error(path);
        if (exists && !S_ISREG(present.st_mode)) {
            file_ = Fd(open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC));
        } else {
            std::lock_guard lock(leftovers);
            target_ = exists ? fs::canonical(path) : fs::path(path); // where a symbolic link leads to
            file_left = target_.parent_path() / (".mqfile-" + unguessable());
            file_ = Fd(open(file_left.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        }
        if (!file_ || (!target_.empty() && exists && fchmod(file_.get(), present.st_mode & 07777) == -1))
            throw system_error(path);
    }

    void write(const char *bytes, std::size_t size)
    {
        while (size > 0) {
            const ssize_t n = ::write(file_.get(), bytes, size);
            if (n == -1 && errno == EAGAIN) { // the starter has made it so
                pollfd room{file_.get(), POLLOUT, 0};
                poll(&room, 1, -1);
            } else if (n == -1 && errno != EINTR) {
                throw system_error("output");
            } else if (n > 0) {
                bytes += n;
                size -= n;
            }
        }
    }

    void finish()
    {
        const bool replaces = !target_.empty();
        if ((replaces && fsync(file_.get()) == -1) || !file_.reset())
            throw system_error("output");
        std::lock_guard lock(leftovers);
        if (replaces && rename(file_left.c_str(), target_.c_str()) == -1)
            throw system_error("output");
        file_left.clear();
    }

private:
    Fd file_;
    fs::path target_; // empty: there is no temporary file
};

// The largest that limits allow: mq_overview(7).
Fd make_reply_queue()
{
    static constexpr std::pair<long, long> shapes[] = {{10, 8192}, {10, 4096}, {4, 4096}, {1, 4096}, {1, 256}};
    std::lock_guard lock(leftovers);
    queue_left = "/mqfile-" + unguessable();
    for (auto [messages, size] : shapes) {
        mq_attr shape{};
        shape.mq_maxmsg = messages;
        shape.mq_msgsize = size;
        Fd queue(mq_open(queue_left.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, queue_mode, &shape));
        if (queue && fchmod(queue.get(), queue_mode) == 0) // whatever the umask
            return queue;
        if (queue || (errno != EINVAL && errno != EMFILE))
            break;
    }
    throw system_error("reply queue");
}

void send_request(const std::string &queue, const std::string &path)
{
    Fd server(mq_open(queue.c_str(), O_WRONLY | O_CLOEXEC));
    if (!server)
        throw Error(NoServer, errno == ENOENT ? "there is no server at " + queue : system_error(queue).what());
    Request request{};
    request.pid = getpid();
    queue_left.copy(request.reply, sizeof request.reply - 1);
    path.copy(request.path, sizeof request.path - 1);
    const auto until = milliseconds_from_now(patience * 1000);
    const auto bytes = reinterpret_cast<const char *>(&request);
    if (mq_timedsend(server.get(), bytes, request_head + path.size() + 1, 0, &until) == -1)
        throw Error(NoServer, errno == ETIMEDOUT ? "the server accepts no requests" : system_error(queue).what());
}

void forget_name()
{
    std::lock_guard lock(leftovers);
    if (!queue_left.empty())
        mq_unlink(queue_left.c_str());
    queue_left.clear();
}

void receive_file(const Fd &queue, Output &output)
{
    mq_attr shape;
    if (mq_getattr(queue.get(), &shape) == -1)
        throw system_error("reply queue");
    std::vector<char> message(shape.mq_msgsize);
    std::uint64_t announced = 0, received = 0, messages = 0;
    bool begun = false;

    for (;;) {
        const auto until = milliseconds_from_now(patience * 1000);
        unsigned type;
        const ssize_t length = mq_timedreceive(queue.get(), message.data(), message.size(), &type, &until);
        if (length == -1 && errno == ETIMEDOUT)
            throw Error(NoServer, "nothing from the server for " + std::to_string(patience) + " s");
        if (length == -1)
            throw system_error("reply queue");
        const std::size_t size = length;
        forget_name(); // the server has the queue open

        if (type == Failure)
            throw Error(Failed, std::string(message.data(), size));
        if (type == Info && !begun && size == sizeof announced) {
            std::memcpy(&announced, message.data(), sizeof announced);
            begun = true;
        } else if (type == Data && begun && size > 0 && size <= announced - received) {
            output.write(message.data(), size);
            received += size;
            messages++;
        } else if (type == End && begun && size == 0) {
            break;
        } else {
            throw Error(Failed, "the server breaks the protocol: type " + std::to_string(type) + ", " +
                                    std::to_string(size) + " bytes");
        }
    }
    if (received != announced)
        throw Error(Failed, std::to_string(received) + " bytes instead of " + std::to_string(announced));
    output.finish();
    std::fprintf(stderr, "Received %ju bytes (%ju messages)\n", std::uintmax_t{received}, std::uintmax_t{messages});
}

int complain(int status, const std::string &why)
{
    std::fprintf(stderr, "mqfile: %s\n", one_line(why).c_str());
    return status;
}

} // namespace

int main(int argc, char *argv[])
{
    static const option flags[] = {{"queue", required_argument, nullptr, 'q'}, {}};
    std::string queue = "/mqfiled";
    const char *file = nullptr;
    for (int flag; (flag = getopt_long(argc, argv, "o:", flags, nullptr)) != -1;) {
        switch (flag) {
        case 'q': queue = optarg; break;
        case 'o': file = optarg; break;
        default: usage();
        }
    }
    if (optind != argc - 1 || !is_queue_name(queue) || std::strlen(argv[optind]) >= sizeof Request::path)
        usage();

    int status = 0;
    try {
        fill_standard_descriptors();
        watch_signals();
        Output output(file);
        Fd reply = make_reply_queue();
        send_request(queue, argv[optind]);
        receive_file(reply, output);
    } catch (const Error &error) {
        status = complain(error.status, error.what());
    } catch (const std::exception &error) {
        status = complain(Failed, error.what());
    }
    end(status);
}
