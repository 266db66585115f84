// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <locale.h>

namespace daxfs {

// libarchive converts names by the thread's locale; with UTF-8 they stay as they are.
class Utf8Locale {
public:
    Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr))
    {
        if (locale_)
            before_ = uselocale(locale_);
    }
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;
    ~Utf8Locale()
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

}  // namespace daxfs
