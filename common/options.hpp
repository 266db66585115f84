// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace daxfs {

// Parses the arguments. An empty value is nearly always a variable of a script that is not set:
// taken as "not given" it would do something else than was asked, so it is refused, but that of
// may_be_empty. Throws CLI::ParseError.
inline void parse_arguments(CLI::App &app, const std::vector<std::string> &args,
                            std::string_view may_be_empty = "")
{
    const auto refuse = [](const std::string &name) {
        throw CLI::ValidationError("expected a value for " + name + ", got an empty one");
    };
    for (const std::string &arg : args) {
        if (arg == "--")
            break;
        if (arg.starts_with("--") && arg.find('=') == arg.size() - 1)
            refuse(arg.substr(0, arg.size() - 1)); // CLI11 would take the next argument
    }
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
    for (const CLI::Option *option : app.get_options()) {
        const auto &values = option->results();
        if (option->get_name() != may_be_empty && std::find(values.begin(), values.end(), "") != values.end())
            refuse(option->get_name());
    }
}

// --help or --version; failed is the status where that cannot be written.
inline int end_as_asked(const CLI::App &app, const CLI::Success &asked, std::ostream &out, std::ostream &err,
                        int failed)
{
    const int status = app.exit(asked, out, err);
    if (out.flush())
        return status;
    err << app.get_name() << ": cannot write the output\n";
    return failed;
}

} // namespace daxfs
