// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "protocol.hpp"

using namespace daxbench;

TEST(PercentEncoding, LeavesPlainTextAlone)
{
    EXPECT_EQ(percent_encode("usr/lib/x86_64-linux-gnu/libc.so.6~"), "usr/lib/x86_64-linux-gnu/libc.so.6~");
}

TEST(PercentEncoding, EncodesBlanksControlsHighBytesAndPercent)
{
    EXPECT_EQ(percent_encode("a b\n%\x7f\xff"), "a%20b%0A%25%7F%FF");
}

TEST(PercentEncoding, EveryByteComesBack)
{
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    EXPECT_EQ(percent_decode(percent_encode(bytes)), bytes);
}

TEST(PercentEncoding, RefusesWhatIsNotHex)
{
    EXPECT_THROW(percent_decode("100%"), std::runtime_error);
    EXPECT_THROW(percent_decode("100%2"), std::runtime_error);
    EXPECT_THROW(percent_decode("%zz"), std::runtime_error);
    EXPECT_EQ(percent_decode("%2f%2F"), "//");
}

TEST(LineFramer, GivesWholeLinesWhateverThePieces)
{
    const std::string text = "{\"a\":1}\n\n{\"b\":2}\n{\"c\"";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        LineFramer framer;
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            framer.feed(std::string_view(text).substr(at, piece));
            while (auto line = framer.next())
                lines.push_back(*line);
        }
        EXPECT_EQ(lines, (std::vector<std::string>{"{\"a\":1}", "", "{\"b\":2}"})) << piece;
        EXPECT_EQ(framer.pending(), 4U) << piece;
    }
}

TEST(LineFramer, KeepsLittleOfALongStream)
{
    LineFramer framer;
    const std::string line(1000, 'x');
    for (int i = 0; i < 1000; ++i) {
        framer.feed(line + "\n");
        ASSERT_EQ(framer.next(), line);
    }
    EXPECT_EQ(framer.pending(), 0U);
}

TEST(Lines, RoundTrip)
{
    const json message = {{"id", 7}, {"op", "mount"}, {"args", {{"target", "/mnt/x"}}}};
    const std::string line = to_line(message);
    EXPECT_EQ(line.back(), '\n');
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(parse_line(line), message);
}

TEST(Lines, RefusesWhatIsNoObject)
{
    EXPECT_THROW(parse_line("[1,2]"), std::runtime_error);
    EXPECT_THROW(parse_line("Kernel panic - not syncing"), std::runtime_error);
    EXPECT_THROW(parse_line(""), std::runtime_error);
}
