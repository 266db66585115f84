// SPDX-License-Identifier: Apache-2.0
#include "kernel_log.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

namespace daxbench {

namespace {

constexpr std::array alarms = {"WARNING:",
                               "BUG:",
                               "Oops",
                               "KASAN",
                               "UBSAN",
                               "KCSAN",
                               "Call Trace:",
                               "lockdep",
                               "suspicious RCU",
                               "circular locking",
                               "general protection fault",
                               "blocked for more than",
                               "Bad page",
                               "possible recursive locking"};

bool contains_word(std::string_view text, std::string_view word)
{
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
    };
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

} // namespace

KernelMessage parse_kernel_message(std::string_view record)
{
    KernelMessage message;
    int priority = 6;
    std::from_chars(record.data(), record.data() + record.size(), priority);
    message.level = priority & 7;
    const auto start = record.find(';');
    if (start == std::string_view::npos)
        return message;
    record.remove_prefix(start + 1);
    message.text = record.substr(0, record.find('\n'));
    return message;
}

bool is_alarming(const KernelMessage &message)
{
    if (message.level <= 3)
        return true;
    return std::any_of(alarms.begin(), alarms.end(),
                       [&](const char *alarm) { return message.text.find(alarm) != std::string::npos; });
}

KernelLog::KernelLog()
{
    fd_ = UniqueFd(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (fd_)
        ::lseek(fd_.get(), 0, SEEK_END);
}

void KernelLog::read_new()
{
    char record[8192];
    while (fd_) {
        const ssize_t got = ::read(fd_.get(), record, sizeof record);
        if (got > 0)
            messages_.push_back(parse_kernel_message({record, static_cast<std::size_t>(got)}));
        else if (got < 0 && (errno == EPIPE || errno == EINTR))
            continue; // EPIPE: records were overwritten, the next read goes on after them
        else
            return;
    }
}

std::vector<KernelMessage> KernelLog::take()
{
    read_new();
    std::vector<KernelMessage> fresh(messages_.begin() + static_cast<std::ptrdiff_t>(taken_),
                                     messages_.end());
    taken_ = messages_.size();
    return fresh;
}

std::vector<std::string> KernelLog::find(std::string_view word)
{
    read_new();
    std::vector<std::string> found;
    for (const KernelMessage &message : messages_)
        if (contains_word(message.text, word))
            found.push_back(message.text);
    return found;
}

} // namespace daxbench
