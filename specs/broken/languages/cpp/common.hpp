// What server and client share: the messages, and descriptors that close themselves.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

struct Request {
    std::int32_t pid;
    char reply[256];
    char path[4096];
};

constexpr std::size_t request_head = offsetof(Request, path);

// The priority of a response. A queue hands out the highest first: END must not overtake DATA.
enum Response : unsigned { End = 1, Data = 2, Failure = 3, Info = 4 };

constexpr mode_t queue_mode = 0622;

// A descriptor. On Linux a message queue is one, too (mq_overview(7)).
class Fd {
public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd &operator=(Fd &&other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

    // Some file systems tell of a failed write only when the file is closed.
    bool reset() { return fd_ < 0 || close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

inline std::system_error system_error(const std::string &what)
{
    return {errno, std::generic_category(), what};
}

inline timespec milliseconds_from_now(long milliseconds)
{
    timespec date;
    clock_gettime(CLOCK_REALTIME, &date);
    const long nanoseconds = date.tv_nsec + milliseconds % 1000 * 1'000'000;
    return {date.tv_sec + milliseconds / 1000 + nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
}

// A name is one slash and what follows it.
inline bool is_queue_name(std::string_view name)
{
    return name.size() > 1 && name.size() <= 256 && name[0] == '/' && name.find('/', 1) == name.npos;
}

// Nothing that breaks a line, or moves the cursor of the terminal that shows it.
inline std::string one_line(std::string text)
{
    for (char &c : text)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
            c = '?';
    return text;
}

// A starter may have closed 0, 1 or 2: what is opened next would take its place. Writing there stays an error.
inline void fill_standard_descriptors()
{
    int fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0 && fd <= 2)
        ;
    close(fd);
}
