// aligned_text.h -- a stretch of text on its way through the pipeline, and, if asked for, where each byte
// came from.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

struct Offsets {  // bytes [begin, end) of the text given; what covers a part of a character has all of it
  std::uint32_t begin = 0, end = 0;
  bool operator==(const Offsets&) const = default;
};

// Reused from text to text, so that nothing is allocated once its buffers have grown. Fewer than 2^31 bytes, and no
// more than 32 times (and 512) those it began with: what a hostile tokenizer can make of a text is bounded.
class AlignedText {
 public:
  // `text` must outlive its use here. `at`: where it begins in the text given.
  void reset(std::string_view text, std::uint32_t at, bool tracked);
  // Bytes [begin, end) of another text, which must outlive the use here.
  void reset_to_part(const AlignedText& whole, std::uint32_t begin, std::uint32_t end);

  std::string_view view() const { return view_; }
  bool tracked() const { return tracked_; }
  // Where bytes [begin, end), at least one, came from.
  Offsets source(std::uint32_t begin, std::uint32_t end) const;

 private:
  friend class Rewrite;
  std::string_view view_;
  std::size_t given_ = 0;  // bytes at the beginning
  std::uint32_t at_ = 0;
  bool tracked_ = false,
       moved_ = false;  // moved_: from_ holds the offsets of each byte; else they are as given
  std::string text_, spare_text_;
  std::vector<Offsets> from_, spare_from_;
};

// Writes a new version of a text from front to back. Error(size) if it grows too large.
class Rewrite {
 public:
  explicit Rewrite(AlignedText& text);
  bool tracks() const { return text_.tracked_; }
  // Bytes [begin, end) as they are.
  void keep(std::uint32_t begin, std::uint32_t end) {
    if (begin != kept_end_) write_kept(), kept_begin_ = begin;
    kept_end_ = end;
  }
  // `text` in the place of bytes [begin, end), at least one.
  void put(std::string_view text, std::uint32_t begin, std::uint32_t end);
  std::uint32_t size() const {
    return static_cast<std::uint32_t>(text_.spare_text_.size()) + kept_end_ - kept_begin_;
  }
  void finish();  // the text is the new one from here on

 private:
  void check_size(std::size_t more) const;
  void write_kept();

  AlignedText& text_;
  std::uint32_t kept_begin_ = 0, kept_end_ = 0;  // bytes to keep that are not written yet: they come in runs
};

}  // namespace glossa
