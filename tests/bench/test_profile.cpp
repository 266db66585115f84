// SPDX-License-Identifier: Apache-2.0
// The plugin's core without QEMU, and what the host makes of its file.
#include <array>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "explain.hpp"
#include "explanation.hpp"
#include "files.hpp"
#include "instruction.hpp"
#include "profile.hpp"
#include "recorder.hpp"

using namespace daxbench;

namespace {

constexpr std::uint64_t entry_of_faults = 0xffffffff81000100;
constexpr std::uint64_t handler = 0xffffffff81000200;
constexpr std::uint64_t copying = 0xffffffff81000300;

/// As QEMU calls it: blocks, and the instructions in them.
class Machine {
public:
    /// Executes a block; of its instructions only `executed`, where the next one faults when it is tried.
    void block(std::uint64_t address, std::size_t instructions)
    {
        executed(address, instructions, instructions);
    }
    void executed(std::uint64_t address, std::size_t instructions, std::size_t done)
    {
        recorder.enter(*recorder.block_at(address, instructions));
        for (std::size_t i = 0; i < done; ++i)
            ++*(address >> 63 ? recorder.counters().of_kernel(address + i * 4, 4, i == 0)
                              : recorder.counters().of_user());
    }
    std::vector<Section> sections() { return parse_profile(read_file(file)); }

    daxfs::TempDir dir;
    std::filesystem::path file = dir.path() / "profile";
    Recorder recorder{file.string(), false};
};

const std::string symbols = "ffffffff81000100 asm_exc_page_fault\n"
                            "ffffffff81000300 copy_it.isra.0\n"
                            "ffffffff81000200 handle_fault.cold [fs]\n";

std::int64_t sum_of(const RoutineCounts &counts)
{
    std::int64_t sum = 0;
    for (const auto &[key, count] : counts)
        sum += count;
    return sum;
}

TEST(Instruction, MarksAreToldFromNops)
{
    const std::array<std::uint8_t, 7> begin = {0x0f, 0x1f, 0x80, 0x01, 0x58, 0x41, 0x44};
    EXPECT_EQ(mark_of(begin), marks::begin);
    auto other = begin;
    other[5] = 0;
    EXPECT_FALSE(mark_of(other));
    EXPECT_FALSE(mark_of(Bytes(begin).first(6)));
    const std::array<std::uint8_t, 8> address = {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x01, 0x00, 0x81};
    EXPECT_EQ(announced_address(address), entry_of_faults);
    EXPECT_FALSE(announced_address(begin));
}

TEST(Instruction, ConditionalBranches)
{
    const auto branch = [](std::vector<std::uint8_t> bytes) { return is_conditional_branch(bytes); };
    EXPECT_TRUE(branch({0x74, 0x10}));
    EXPECT_TRUE(branch({0x0f, 0x85, 0, 0, 0, 0}));
    EXPECT_TRUE(branch({0x2e, 0x75, 0x02}));
    EXPECT_TRUE(branch({0xe3, 0x05}));
    EXPECT_FALSE(branch({0xeb, 0x10}));             // jmp
    EXPECT_FALSE(branch({0x0f, 0x44, 0xc1}));       // cmov
    EXPECT_FALSE(branch({0xe8, 0, 0, 0, 0}));       // call
    EXPECT_FALSE(branch({0x48, 0x0f, 0x94, 0xc0})); // setcc
    EXPECT_FALSE(branch({}));
}

TEST(Recorder, CountsBetweenMarksOnly)
{
    Machine machine;
    machine.block(0x1000, 5);
    machine.recorder.begin();
    machine.block(0x1000, 3);
    machine.block(handler, 2);
    machine.recorder.end();
    machine.block(handler, 7);
    const auto sections = machine.sections();
    ASSERT_EQ(sections.size(), 1U);
    const Routines routines(symbols);
    EXPECT_EQ(sum_of(count_routines(sections[0], routines)), 5);
}

TEST(Recorder, AnInstructionThatFaultsCountsOnce)
{
    Machine machine;
    machine.recorder.block_at(entry_of_faults, 4); // translated before it is announced
    machine.recorder.announce(entry_of_faults, marks::fault);
    machine.recorder.begin();
    machine.executed(0x1000, 6, 4); // the fourth faults
    machine.block(entry_of_faults, 4);
    machine.block(handler, 10);
    machine.block(0x1010, 3); // and is done, with the two after it
    machine.recorder.end();
    const Routines routines(symbols);
    const auto counts = count_routines(machine.sections().at(0), routines);
    EXPECT_EQ(counts.at({user_space, {"start", "user"}}), 6);
    EXPECT_EQ(counts.at({{"asm_exc_page_fault", ""}, {"start", "fault"}}), 4);
    EXPECT_EQ(counts.at({{"handle_fault", "fs"}, {"start", "fault"}}), 10);
}

TEST(Recorder, OneThatCouldNotBeFetchedWasNotCounted)
{
    Machine machine;
    machine.recorder.announce(entry_of_faults, marks::fault);
    machine.recorder.begin();
    machine.block(0x1000, 6);
    machine.block(entry_of_faults, 4);
    machine.block(0x2000, 2);
    machine.recorder.end();
    const Routines routines(symbols);
    EXPECT_EQ(sum_of(count_routines(machine.sections().at(0), routines)), 12);
}

TEST(Recorder, AFaultInASystemCallReturnsToIt)
{
    constexpr std::uint64_t entry_of_calls = 0xffffffff81000000;
    Machine machine;
    machine.recorder.announce(entry_of_calls, marks::syscall);
    machine.recorder.announce(entry_of_faults, marks::fault);
    machine.recorder.begin();
    machine.block(0x1000, 1);
    machine.block(entry_of_calls, 2);
    machine.executed(copying, 8, 3);
    machine.block(entry_of_faults, 4);
    machine.recorder.leave();
    machine.block(copying + 8, 6);
    machine.block(0x1000, 1);
    machine.recorder.end();
    const auto counts = count_routines(machine.sections().at(0), Routines(symbols));
    EXPECT_EQ(counts.at({{"copy_it", ""}, {"start", "syscall"}}), 3 - 1 + 6);
    EXPECT_EQ(counts.at({{"asm_exc_page_fault", ""}, {"start", "fault"}}), 4);
}

TEST(Recorder, PartsOfAProgram)
{
    Machine machine;
    machine.recorder.announce(handler, marks::first_part_code + marks::run);
    machine.recorder.announce(copying, marks::first_part_code + marks::finish);
    machine.recorder.begin();
    machine.block(0x1000, 1);
    machine.block(handler, 2);
    machine.block(0x1000, 3);
    machine.block(copying, 4);
    machine.recorder.end();
    const auto section = machine.sections().at(0);
    EXPECT_EQ(section.user.at({"start", "other"}), 1);
    EXPECT_EQ(section.user.at({"run", "other"}), 3);
    EXPECT_EQ(count_routines(section, Routines(symbols)).at({{"copy_it", ""}, {"end", "other"}}), 4);
}

TEST(Model, TheLeastRecentlyUsedLeaves)
{
    SetAssociative cache(8, 2); // four sets
    EXPECT_FALSE(cache.touch(0));
    EXPECT_FALSE(cache.touch(4));
    EXPECT_TRUE(cache.touch(0));
    EXPECT_FALSE(cache.touch(8)); // 4 leaves
    EXPECT_TRUE(cache.touch(0));
    EXPECT_FALSE(cache.touch(4));
    EXPECT_FALSE(cache.touch(1)); // another set
    EXPECT_TRUE(cache.touch(4));
}

TEST(Model, LinesAndPages)
{
    Model model;
    for (int i = 0; i < 2; ++i)
        for (std::uint64_t at = 0; at < 4096 * 3; at += 8)
            model.data(0x7f0000000000 + at, 0x100000 + at, 8);
    model.data(0x7f0000000000, 0x10003c, 8); // across two lines
    model.code(0x401000, 100);
    std::ostringstream out;
    model.write(out);
    const auto section = parse_profile("section 0\n" + out.str() + "end\n").at(0);
    EXPECT_EQ(section.model.at("data_lines"), 3 * 64);
    EXPECT_EQ(section.model.at("l1_data_misses"), 3 * 64);
    EXPECT_EQ(section.model.at("code_lines"), 2);
    EXPECT_EQ(section.model.at("pages_4k"), 4);
    EXPECT_EQ(section.model.at("pages_2m"), 2);
    EXPECT_EQ(section.model.at("tlb_misses_4k"), 4);
    EXPECT_EQ(section.model.at("l2_misses"), 3 * 64 + 2);
}

TEST(Profile, WhatIsNoProfileIsNamed)
{
    for (const std::string text :
         {"section 1\nend\n", "section 0\n", "k 0 0 1 1 1 0\n", "section 0\nk 0 9 1 1 1 0\nend\n",
          "section 0\nu 0 0\nend\n", "section 0\nsection 1\nend\n"})
        EXPECT_THROW(parse_profile(text), std::runtime_error) << text;
    EXPECT_TRUE(parse_profile("").empty());
}

TEST(Profile, CodeIsCountedOnce)
{
    const auto sections =
        parse_profile("section 0\n"
                      "k 0 1 18446744071578845696 5 3 1\n" // 0xffffffff81000200
                      "k 0 2 18446744071578845696 2 3 1\n"
                      "k 0 2 18446744071578845952 2 4 0\n" // 0xffffffff81000300
                      "k 0 3 18446744071578845440 9 4 1\n" // 0xffffffff81000100, an interrupt
                      "end\n");
    const Routines routines(symbols);
    const auto all = code_size(sections.at(0), routines, [](const Routine &) { return true; });
    EXPECT_EQ(all.instructions, 9);
    EXPECT_EQ(all.functions, 2U);
    EXPECT_EQ(all.places, 2U);
    EXPECT_EQ(all.branches, 1U);
    EXPECT_EQ(all.bytes, 7U);
    const auto own = code_size(sections.at(0), routines, [](const Routine &r) { return r.module == "fs"; });
    EXPECT_EQ(own.instructions, 7);
    EXPECT_EQ(own.functions, 1U);
}

TEST(Explanation, SumsToWhatWasCounted)
{
    Explained a{.cell = "x/y/a/n1",
                .workload = "w",
                .variant = "",
                .cache = "cold",
                .per = "op",
                .units = 2,
                .clock = 202,
                .row = 101,
                .counts = {}};
    a.counts[{{"f", ""}, {"start", "fault"}}] = 120;
    a.counts[{user_space, {"start", "fault"}}] = 80;
    Explained b = a;
    b.cell = "x/y/b/n1";
    b.counts[{{"f", ""}, {"start", "fault"}}] = 100;
    b.counts[{{"g", "m"}, {"start", "fault"}}] = 300;
    const auto both = explain_rows({a, b});
    EXPECT_EQ(both.lines.at(0).routine.name, "g");
    EXPECT_EQ(both.lines.at(0).b, 150);
    EXPECT_EQ(counted(a), 100);
    EXPECT_EQ(counted_in_user_space(a), 40);
    double sum = 0;
    for (const auto &line : both.lines)
        sum += line.a - line.b;
    EXPECT_EQ(sum, counted(a) - counted(b));
    const auto text = render(both, "table", 1);
    EXPECT_NE(text.find("g [m]"), std::string::npos) << text;
    EXPECT_NE(text.find("2 more"), std::string::npos) << text;
    EXPECT_NE(text.find("remainder"), std::string::npos) << text;
    EXPECT_EQ(render(both, "csv", 0).find("function,module,part,entry,a,b\ng,m,start,fault,0,150\n"), 0U);
    EXPECT_EQ(nlohmann::json::parse(render(explain_rows({a}), "json", 0)).at("rows").size(), 1U);
    EXPECT_NE(render(both, "markdown", 0).find("| function | phase | A | B | A - B |"), std::string::npos);
    EXPECT_THROW(render(both, "latex", 0), std::runtime_error);
}

class Explain : public testing::Test {
protected:
    std::vector<Cell> cells(ExplainRequest request) { return explained_cells(catalogue, request); }
    std::string why(ExplainRequest request)
    {
        try {
            cells(std::move(request));
        } catch (const std::exception &error) {
            return error.what();
        }
        return "";
    }
    static ExplainRequest of(std::vector<std::string> ids, std::string workload = "")
    {
        ExplainRequest request;
        request.cells = std::move(ids);
        request.workload = std::move(workload);
        return request;
    }

    const Catalogue catalogue = load_catalogue(own_paths().source / "workloads");
};

TEST_F(Explain, TracesOneWorkloadOnce)
{
    auto request = of({"latency/rootfs/daxfs/n1", "latency/rootfs/tmpfs/n1"}, "fork");
    request.variant = "private";
    const auto chosen = cells(request);
    ASSERT_EQ(chosen.size(), 2U);
    EXPECT_EQ(chosen[1].filesystem, "tmpfs");
    EXPECT_EQ(chosen[1].driver, Driver::traced);
    ASSERT_EQ(chosen[1].workloads.size(), 1U);
    EXPECT_EQ(chosen[1].workloads[0].at("variants"), nlohmann::json({"private"}));
    EXPECT_EQ(chosen[1].workloads[0].at("repetitions"), 1);
}

TEST_F(Explain, SaysWhatItNeeds)
{
    EXPECT_NE(why(of({})).find("expected one cell or two"), std::string::npos);
    EXPECT_NE(why(of({"nothing/rootfs/daxfs/n1"})).find("latency"), std::string::npos);
    EXPECT_NE(why(of({"latency/rootfs/other/n1"})).find("latency/rootfs/erofs-dax/n1"), std::string::npos);
    EXPECT_NE(why(of({"latency/rootfs/daxfs/n1"})).find("expected --workload, one of"), std::string::npos);
    EXPECT_NE(why(of({"fio/fio-verify/daxfs/n1"})).find("engines benchmark or program"), std::string::npos);
    auto cold = of({"latency/rootfs/daxfs/n1"}, "fork");
    cold.cache = "cold";
    EXPECT_NE(why(cold), "");
}

} // namespace
