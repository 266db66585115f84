// SPDX-License-Identifier: Apache-2.0
// The plugin: -plugin profile.so,out=FILE[,model=on]. It counts every instruction that the guest executes
// between two marks. QEMU calls it from one thread: it is for guests of one vCPU.
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "instruction.hpp"
#include "qemu_plugin.h"
#include "recorder.hpp"

namespace {

using namespace daxbench;

std::unique_ptr<Recorder> recorder;

Bytes bytes_of(const qemu_plugin_insn *insn)
{
    return {static_cast<const std::uint8_t *>(qemu_plugin_insn_data(insn)), qemu_plugin_insn_size(insn)};
}

void on_block(unsigned, void *block)
{
    recorder->enter(*static_cast<const Block *>(block));
}

void on_begin(unsigned, void *)
{
    recorder->begin();
}

void on_end(unsigned, void *)
{
    recorder->end();
}

void on_iretq(unsigned, void *)
{
    recorder->leave();
}

struct Code {
    std::uint64_t address;
    std::size_t bytes;
};
std::deque<Code> codes; // of all blocks that were translated
bool with_model = false;

void on_code(unsigned, void *data)
{
    const auto &code = *static_cast<const Code *>(data);
    if (recorder->recording())
        recorder->model().code(code.address, code.bytes);
}

void on_memory(unsigned, qemu_plugin_meminfo_t info, std::uint64_t address, void *)
{
    if (!recorder->recording())
        return;
    const qemu_plugin_hwaddr *const memory = qemu_plugin_get_hwaddr(info, address);
    if (memory && !qemu_plugin_hwaddr_is_io(memory))
        recorder->model().data(address, qemu_plugin_hwaddr_phys_addr(memory),
                               std::size_t{1} << qemu_plugin_mem_size_shift(info));
}

/// What the model is told of a block.
void watch_memory(qemu_plugin_tb *tb)
{
    Code code{qemu_plugin_tb_vaddr(tb), 0};
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
        qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(tb, i);
        code.bytes += qemu_plugin_insn_size(insn);
        qemu_plugin_register_vcpu_mem_cb(insn, on_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         nullptr);
    }
    codes.push_back(code);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_code, QEMU_PLUGIN_CB_NO_REGS, &codes.back());
}

void call(qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t callback)
{
    qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, QEMU_PLUGIN_CB_NO_REGS, nullptr);
}

/// A routine may be announced as soon as the marks that do it are translated: they are executed right then.
void mark(qemu_plugin_tb *tb, std::size_t index, std::uint8_t code)
{
    qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(tb, index);
    if (code == marks::begin)
        call(insn, on_begin);
    else if (code == marks::end)
        call(insn, on_end);
    else if (code >= marks::announce && index + 1 < qemu_plugin_tb_n_insns(tb))
        if (const auto address = announced_address(bytes_of(qemu_plugin_tb_get_insn(tb, index + 1))))
            recorder->announce(*address, static_cast<std::uint8_t>(code - marks::announce));
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb *tb)
{
    const bool in_kernel = qemu_plugin_tb_vaddr(tb) >> 63;
    qemu_plugin_register_vcpu_tb_exec_cb(
        tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
        recorder->block_at(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb)));
    if (with_model)
        watch_memory(tb);
    for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
        qemu_plugin_insn *const insn = qemu_plugin_tb_get_insn(tb, i);
        const Bytes bytes = bytes_of(insn);
        std::uint64_t *const counter =
            in_kernel ? recorder->counters().of_kernel(qemu_plugin_insn_vaddr(insn), bytes.size(),
                                                       is_conditional_branch(bytes))
                      : recorder->counters().of_user();
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
        if (const auto code = mark_of(bytes); code && !in_kernel)
            mark(tb, i, *code);
        else if (in_kernel && is_iretq(bytes))
            call(insn, on_iretq);
    }
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_API_VERSION;

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
                                                               int argc, char **argv)
{
    try {
        std::string out;
        for (int i = 0; i < argc; ++i)
            if (std::strncmp(argv[i], "out=", 4) == 0)
                out = argv[i] + 4;
            else if (std::strcmp(argv[i], "model=on") == 0)
                with_model = true;
        if (out.empty() || !info->system_emulation || std::strcmp(info->target_name, "x86_64") != 0)
            throw std::runtime_error("expected out=FILE, and an x86-64 machine");
        recorder = std::make_unique<Recorder>(out, with_model);
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
        return 0;
    } catch (const std::exception &error) {
        qemu_plugin_outs((std::string("profile plugin: ") + error.what() + "\n").c_str());
        return 1;
    }
}
}
