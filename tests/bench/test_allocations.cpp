// SPDX-License-Identifier: Apache-2.0
// The kernel's trace of allocations, as text.
#include <gtest/gtest.h>

#include "allocations.hpp"

using namespace daxbench;

namespace {

const std::string head = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 8/8   #P:1\n#\n";

std::string event(const std::string &flags, const std::string &what, const std::vector<std::string> &stack)
{
    std::string text = "           agent-1       [000] " + flags + "     2.571132: " + what + "\n";
    text += "           agent-1       [000] " + flags + "     2.571133: <stack trace>\n";
    for (const auto &frame : stack)
        text += " => " + frame + "\n";
    return text;
}

TEST(Allocations, KindsAndCallers)
{
    const auto found = parse_allocations(
        head +
        event(".....",
              "kmem_cache_alloc: call_site=alloc_inode+0x1/0x2 ptr=x name=inode_cache bytes_req=600 "
              "bytes_alloc=616 gfp_flags=GFP_KERNEL",
              {"kmem_cache_alloc_lru_noprof", "my_alloc_inode [fs]", "alloc_inode"}) +
        event(".....",
              "kmalloc: call_site=seq_open+0x1/0x2 ptr=x bytes_req=10 bytes_alloc=16 gfp_flags=GFP_KERNEL",
              {"__kmalloc_cache_noprof", "seq_open"}) +
        event(".....", "mm_page_alloc: page=x pfn=0x1 order=0 migratetype=0 gfp_flags=GFP_KERNEL",
              {"__alloc_pages_noprof", "alloc_pages_mpol_noprof", "pte_alloc_one", "__pte_alloc"}) +
        event(".....", "mm_page_alloc: page=x pfn=0x1 order=2 migratetype=0 gfp_flags=GFP_KERNEL",
              {"__alloc_pages_noprof", "allocate_slab", "___slab_alloc", "kmem_cache_alloc_noprof"}) +
        event(".....", "mm_page_alloc: page=x pfn=0x1 order=1 migratetype=0 gfp_flags=GFP_KERNEL",
              {"__alloc_pages_noprof", "folio_alloc_noprof", "page_cache_ra_order"}) +
        event("..s1.",
              "kmalloc: call_site=net_rx+0x1/0x2 ptr=x bytes_req=10 bytes_alloc=16 gfp_flags=GFP_ATOMIC",
              {"__kmalloc_cache_noprof", "net_rx"}));
    EXPECT_EQ(found.slab.count, 2U);
    EXPECT_EQ(found.slab.bytes, 632U);
    EXPECT_EQ(found.slab.callers.at("my_alloc_inode"), 1U);
    EXPECT_EQ(found.page_tables.count, 1U);
    EXPECT_EQ(found.slab_pages.count, 1U);
    EXPECT_EQ(found.slab_pages.bytes, 16384U);
    EXPECT_EQ(found.pages.count, 1U);
    EXPECT_EQ(found.pages.bytes, 8192U);
    EXPECT_EQ(found.pages.callers.at("page_cache_ra_order"), 1U);
}

TEST(Allocations, NoneIsZero)
{
    const auto found = parse_allocations(head);
    EXPECT_EQ(found.slab.count + found.pages.count + found.page_tables.count + found.slab_pages.count, 0U);
}

TEST(Allocations, LostEventsAreAnError)
{
    EXPECT_THROW(parse_allocations("# entries-in-buffer/entries-written: 5/9   #P:1\n"), std::runtime_error);
}

TEST(Allocations, AnEventWithoutAStackIsAnError)
{
    EXPECT_THROW(parse_allocations(head + event(".....", "kmalloc: bytes_alloc=16", {})), std::runtime_error);
}

} // namespace
