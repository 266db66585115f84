// SPDX-License-Identifier: Apache-2.0
#include "digest.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/evp.h>

#include "workers.hpp"
#include "xxh3.hpp"

namespace daxfs {

namespace {

struct Kind {
    DigestKind kind;
    std::string_view name;
    std::size_t size;
};

constexpr std::array<Kind, 3> kinds = {
    {{DigestKind::none, "none", 0}, {DigestKind::xxh3, "xxh3", 16}, {DigestKind::sha256, "sha256", 32}}};

} // namespace

std::optional<DigestKind> parse_digest_kind(std::string_view name)
{
    for (const Kind &kind : kinds) {
        if (kind.name == name)
            return kind.kind;
    }
    return std::nullopt;
}

std::string_view digest_name(DigestKind kind)
{
    return kinds[static_cast<std::size_t>(kind)].name;
}

std::size_t digest_size(DigestKind kind)
{
    return kinds[static_cast<std::size_t>(kind)].size;
}

struct Digester::State {
    DigestKind kind;
    XXH3_state_t *xxh3 = nullptr;
    EVP_MD_CTX *sha256 = nullptr;

    explicit State(DigestKind wanted) : kind(wanted)
    {
        if (kind == DigestKind::xxh3)
            xxh3 = XXH3_createState();
        else
            sha256 = EVP_MD_CTX_new();
        begin();
    }
    State(const State &) = delete;
    State &operator=(const State &) = delete;
    ~State()
    {
        XXH3_freeState(xxh3);
        EVP_MD_CTX_free(sha256);
    }

    void begin()
    {
        const bool good = kind == DigestKind::xxh3 ? XXH3_128bits_reset(xxh3) == XXH_OK
                                                   : EVP_DigestInit_ex(sha256, EVP_sha256(), nullptr) == 1;
        if (!good)
            throw std::runtime_error("cannot compute digests: libcrypto refuses");
    }
};

Digester::Digester(DigestKind kind) : state_(std::make_unique<State>(kind)) {}

Digester::~Digester() = default;

void Digester::update(std::span<const std::byte> bytes)
{
    if (state_->kind == DigestKind::xxh3)
        XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
    else
        EVP_DigestUpdate(state_->sha256, bytes.data(), bytes.size());
}

void Digester::update_zeros(std::uint64_t count, const std::atomic<bool> *stop)
{
    static constexpr std::array<std::byte, 65536> zeros{};
    for (; count > 0; count -= std::min<std::uint64_t>(count, zeros.size())) {
        check_stop(stop);
        update(std::span(zeros).first(std::min<std::uint64_t>(count, zeros.size())));
    }
}

std::string Digester::finish()
{
    std::string digest(digest_size(state_->kind), '\0');
    if (state_->kind == DigestKind::xxh3) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->xxh3));
        std::copy_n(reinterpret_cast<const char *>(canonical.digest), digest.size(), digest.begin());
    } else {
        EVP_DigestFinal_ex(state_->sha256, reinterpret_cast<unsigned char *>(digest.data()), nullptr);
    }
    state_->begin();
    return digest;
}

std::string to_hex(std::string_view bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

} // namespace daxfs
