// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <locale.h>

namespace daxfs {

// The locale of this thread, by which libarchive converts names and fnmatch(3) reads them. In "C" a name is
// its bytes.
class ThreadLocale {
public:
    explicit ThreadLocale(const char *name) : locale_(newlocale(LC_ALL_MASK, name, nullptr))
    {
        if (locale_)
            before_ = uselocale(locale_);
    }
    ThreadLocale(const ThreadLocale &) = delete;
    ThreadLocale &operator=(const ThreadLocale &) = delete;
    ~ThreadLocale()
    {
        if (!locale_)
            return;
        uselocale(before_);
        freelocale(locale_);
    }

private:
    locale_t locale_;
    locale_t before_ = nullptr;
};

} // namespace daxfs
