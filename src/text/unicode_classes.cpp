#include "text/unicode_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>

namespace glossa {
namespace {

struct Range {
  char32_t first, last;
};
#include "text/unicode_classes.inc"

constexpr Range kSpace[] = {{9, 13},          {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                            {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                            {0x205F, 0x205F}, {0x3000, 0x3000}};

struct Class {
  std::uint16_t flag;
  std::span<const Range> ranges;
};
const Class kClasses[] = {
    {char_class::letter, kLetter},
    {char_class::number, kNumber},
    {char_class::space, kSpace},
    {char_class::mark, kMark},
    {char_class::word, kWord},
    {char_class::numeric, kNumeric},
    {char_class::punctuation, kPunctuation},
    {char_class::combining, kCombining},
    {char_class::bert_control, kBertControl},
    {char_class::bert_accent, kBertAccent},
    {char_class::normalization_unknown, kNormalizationUnknown},
    {char_class::nfc_changes, kNfcChanges},
    {char_class::nfkc_changes, kNfkcChanges},
};

}  // namespace

CharClasses::CharClasses() {
  // For each page the classes that hold for all of it, or that it is mixed.
  std::array<std::uint16_t, 0x1100> whole{};
  std::array<bool, 0x1100> mixed{};
  for (const Class& k : kClasses) {
    for (const Range& r : k.ranges) {
      const std::size_t first = r.first >> 8, last = r.last >> 8;
      for (std::size_t p = first; p <= last; ++p) {
        const bool covered = r.first <= p << 8 && r.last >= (p << 8 | 255);
        covered ? void(whole[p] |= k.flag) : void(mixed[p] = true);
      }
    }
  }
  std::vector<std::pair<std::uint16_t, std::uint16_t>> uniform;  // classes, page
  for (std::size_t p = 0; p < page_.size(); ++p) {
    const auto known =
        std::find_if(uniform.begin(), uniform.end(), [&](auto& u) { return u.first == whole[p]; });
    if (!mixed[p] && known != uniform.end()) {
      page_[p] = known->second;
      continue;
    }
    page_[p] = static_cast<std::uint16_t>(pages_.size() / 256);
    if (!mixed[p]) uniform.emplace_back(whole[p], page_[p]);
    pages_.insert(pages_.end(), 256, whole[p]);
  }
  for (const Class& k : kClasses)
    for (const Range& r : k.ranges)
      for (char32_t c = r.first; c <= r.last; ++c) {
        if ((c & 255) == 0 && c + 255 <= r.last) {
          c += 255;  // whole pages are done
          continue;
        }
        if (mixed[c >> 8]) pages_[page_[c >> 8] * std::size_t{256} + (c & 255)] |= k.flag;
      }
}

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

char32_t lower_case_of(char32_t c) {
  const auto* known = std::find_if(std::begin(kLowerCase), std::end(kLowerCase),
                                   [&](const Range& r) { return r.first == c; });
  if (c >= kLowerCase[0].first && known != std::end(kLowerCase)) return known->last;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace glossa
