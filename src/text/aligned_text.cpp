#include "text/aligned_text.h"

#include "base/error.h"

namespace glossa {
namespace {

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace

void AlignedText::reset(std::string_view text, std::uint32_t at, bool tracked) {
  view_ = text, given_ = text.size(), at_ = at, tracked_ = tracked, moved_ = false;
}

void AlignedText::reset_to_part(const AlignedText& whole, std::uint32_t begin, std::uint32_t end) {
  reset(whole.view_.substr(begin, end - begin), whole.at_ + begin, whole.tracked_);
  moved_ = whole.moved_;
  if (moved_) from_.assign(whole.from_.begin() + begin, whole.from_.begin() + end);
}

Offsets AlignedText::source(std::uint32_t begin, std::uint32_t end) const {
  if (moved_) return {from_[begin].begin, from_[end - 1].end};
  // A character has at most three bytes that continue it; ill-formed text may have more in a row.
  for (int i = 0; i < 3 && begin > 0 && continues(view_[begin]); ++i) --begin;
  for (int i = 0; i < 3 && end < view_.size() && continues(view_[end]); ++i) ++end;
  return {at_ + begin, at_ + end};
}

Rewrite::Rewrite(AlignedText& text) : text_(text) {
  text_.spare_text_.clear();
  text_.spare_from_.clear();
  if (!text_.tracked_ || text_.moved_) return;
  text_.from_.clear();
  const std::string_view view = text_.view_;
  for (std::uint32_t begin = 0, end; begin < view.size(); begin = end) {
    for (end = begin + 1; end < view.size() && end < begin + 4 && continues(view[end]);) ++end;
    text_.from_.insert(text_.from_.end(), end - begin, Offsets{text_.at_ + begin, text_.at_ + end});
  }
}

void Rewrite::write_kept() {
  if (kept_begin_ == kept_end_) return;
  text_.spare_text_.append(text_.view_, kept_begin_, kept_end_ - kept_begin_);
  if (text_.tracked_)
    text_.spare_from_.insert(text_.spare_from_.end(), text_.from_.begin() + kept_begin_,
                             text_.from_.begin() + kept_end_);
  kept_begin_ = kept_end_;
}

void Rewrite::check_size(std::size_t more) const {
  const std::size_t size = text_.spare_text_.size() + more;
  check(size / 32 <= text_.given_ + 16 && size < std::uint64_t{1} << 31, Code::size,
        "the tokenizer makes {} bytes of text into {}; at most 32 times as many are allowed, and fewer than "
        "2^31",
        text_.given_, size);
}

void Rewrite::put(std::string_view text, std::uint32_t begin, std::uint32_t end) {
  write_kept();
  check_size(text.size());
  text_.spare_text_ += text;
  if (text_.tracked_)
    text_.spare_from_.insert(text_.spare_from_.end(), text.size(),
                             Offsets{text_.from_[begin].begin, text_.from_[end - 1].end});
}

void Rewrite::finish() {
  write_kept();
  check_size(0);
  text_.text_.swap(text_.spare_text_);
  text_.from_.swap(text_.spare_from_);
  text_.view_ = text_.text_;
  text_.moved_ = text_.tracked_;
}

}  // namespace glossa
