// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target on the files of a folder, and on each of them cut and changed a little.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "fuzz.hpp"

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; ++i) {
        for (const auto &entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream in(entry.path(), std::ios::binary);
            std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
            const auto run = [&] {
                fuzz_one({reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size()});
            };
            run();
            const std::size_t step = bytes.size() / 64 + 1;
            for (std::size_t at = 0; at < bytes.size(); at += step) {
                bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
                run();
                bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
            }
            while (bytes.size() > step) {
                bytes.resize(bytes.size() - step);
                run();
            }
            ++files;
        }
    }
    std::cout << files << " files\n";
    return files == 0;
}
