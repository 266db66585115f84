// SPDX-License-Identifier: Apache-2.0
// The guest's reader of safetensors against headers that lie, its processes that compute, and what it reads
// of /proc.
#include <cstring>
#include <stdexcept>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "frames.hpp"
#include "probe_table.hpp"
#include "safetensors.hpp"
#include "vmstat.hpp"
#include "worker.hpp"

using namespace daxbench;

namespace {

std::string file_of(const std::string &header, std::size_t data)
{
    const std::uint64_t length = header.size();
    std::string file(reinterpret_cast<const char *>(&length), sizeof length);
    return file + header + std::string(data, 'x');
}

// What the reader says of it.
std::string refusal(const std::string &file)
{
    try {
        parse_safetensors(file);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "accepted";
}

std::string refusal_of(const std::string &header, std::size_t data = 16)
{
    return refusal(file_of(header, data));
}

void expect_in(const std::string &text, const std::string &part)
{
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks: " << part;
}

} // namespace

TEST(Safetensors, AreReadByPlace)
{
    const auto tensors =
        parse_safetensors(file_of(R"({"__metadata__":{"format":"pt"},)"
                                  R"("b":{"dtype":"F16","shape":[4],"data_offsets":[8,16]},)"
                                  R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   )",
                                  16));
    ASSERT_EQ(tensors.size(), 2U);
    EXPECT_EQ(tensors[0].name, "a");
    EXPECT_EQ(tensors[0].dtype, "F32");
    EXPECT_EQ(tensors[0].shape, (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(tensors[0].end, tensors[1].begin);
    EXPECT_EQ(tensors[1].end - tensors[1].begin, 8U);
}

TEST(Safetensors, OfHostileHeadersAreRefused)
{
    expect_in(refusal(""), "8 bytes or more, got 0");
    expect_in(refusal(std::string(8, '\xff')), "a header inside the file");
    expect_in(refusal(std::string("\x10\0\0\0\0\0\0\0{}", 10)), "a header inside the file");
    expect_in(refusal_of(""), "begins with {");
    expect_in(refusal_of(" {}"), "begins with {");
    expect_in(refusal_of("{"), "JSON");
    expect_in(refusal_of("{\"a\":" + std::string(200000, '[')), "JSON");
    expect_in(refusal_of(R"({"a":1})"), "dtype, shape and two data_offsets");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0]}})"), "two data_offsets");
    expect_in(refusal_of(R"({"a":{"dtype":"Q9","shape":[4],"data_offsets":[0,16]}})"),
              "a known type, got Q9");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})"),
              "whole numbers, got -4");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,1e1]}})"), "whole numbers");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})"), "inside the file");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})"), "inside the file");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}})"), "12 bytes of a");
    expect_in(refusal_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}})"),
              "overflow");
    expect_in(refusal_of(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                         R"("b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}})"),
              "where the one before it ends");
    expect_in(refusal_of(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})"), "8 bytes more");
    expect_in(refusal_of(R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},)"
                         R"("a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}})"),
              "twice");
}

TEST(ProbeTable, FindsWhatIsThereAndNothingElse)
{
    constexpr std::uint64_t slots = 16;
    std::vector<ProbeSlot> table(slots);
    for (std::uint64_t i = 0; i < slots / 2; ++i) {
        const auto key = probe_key(i);
        ASSERT_NE(key, 0U);
        table[probe_slot(table.data(), slots, key)] = {key, probe_value(key)};
    }
    for (std::uint64_t i = 0; i < slots; ++i) {
        const auto slot = table[probe_slot(table.data(), slots, probe_key(i))];
        EXPECT_EQ(slot.key, i < slots / 2 ? probe_key(i) : 0) << i;
    }
}

TEST(Worker, AnswersEachLineUntilThereAreNoMore)
{
    auto make = [] { return Task([count = 0]() mutable { return std::to_string(++count); }); };
    std::vector<Worker> workers;
    for (int i = 0; i < 3; ++i)
        workers.push_back(Worker::task(make));
    for (int round = 1; round < 3; ++round)
        for (Worker &worker : workers) {
            if (round == 1) {
                EXPECT_EQ(worker.line(), "ready");
            }
            worker.go();
            EXPECT_EQ(worker.line(), std::to_string(round));
        }
    for (Worker &worker : workers)
        worker.finish(); // red when each kept its own orders open, or those of the ones before it
}

TEST(Worker, SaysWhyItCannot)
{
    auto worker = Worker::task([]() -> Task { throw std::runtime_error("no weights here"); });
    try {
        worker.line();
        FAIL() << "expected an error";
    } catch (const std::runtime_error &error) {
        EXPECT_STREQ(error.what(), "no weights here");
    }
    auto gone = Worker::program([] { ::_exit(3); });
    EXPECT_THROW(gone.line(), std::runtime_error);
    EXPECT_THROW(gone.finish(), std::runtime_error);
}

TEST(Vmstat, IsAddedUpOverWhoReclaims)
{
    const auto count = parse_reclaim("pgscan_kswapd 10\npgscan_direct 5\npgscan_khugepaged 1\n"
                                     "pgscan_direct_throttle 99\npgsteal_kswapd 7\npgsteal_direct 2\n"
                                     "workingset_refault_anon 50\nworkingset_refault_file 3\npgmajfault 4\n");
    EXPECT_EQ(count.scanned, 16U);
    EXPECT_EQ(count.reclaimed, 9U);
    EXPECT_EQ(count.refaulted, 3U);
    EXPECT_EQ(count.major_faults, 4U);
    EXPECT_THROW(parse_reclaim("pgmajfault 4\n"), std::runtime_error);
}

TEST(Maps, TellWhereAFileIs)
{
    const auto ranges = mappings_of_file(7,
                                         "7f0000000000-7f0008000000 r--s 00000000 00:1f 5   /mnt/x/model\n"
                                         "7f0008000000-7f0009000000 r--p 00000000 00:1f 6   /mnt/x/submodel\n"
                                         "7f0009000000-7f0009001000 rw-p 00000000 00:00 0\n",
                                         "model");
    ASSERT_EQ(ranges.size(), 1U);
    EXPECT_EQ(ranges[0].pid, 7);
    EXPECT_EQ(ranges[0].start, 0x7f0000000000U);
    EXPECT_EQ(ranges[0].end, 0x7f0008000000U);
}
