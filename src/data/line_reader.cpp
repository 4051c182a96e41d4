#include "data/line_reader.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::size_t kBlock = 64 << 10;

}  // namespace

LineReader::LineReader(ByteStream stream, const TextOptions& options)
    : stream_(std::move(stream)), options_(options), buffer_(2 * kBlock, '\0') {
  // As far as the marks of formats reach, none of which has a line feed in it.
  while (end_ < 16 && std::string_view(buffer_.data(), end_).find('\n') == std::string_view::npos && more()) {
  }
  check_beginning();
}

LineReader LineReader::open(const fs::path& path, const TextOptions& options) {
  return {ByteStream::open(path, options.limits), options};
}

void LineReader::check_beginning() {
  using namespace std::string_view_literals;
  const std::string_view text(buffer_.data(), end_);
  check(!text.starts_with("\xFF\xFE"sv) && !text.starts_with("\xFE\xFF"sv), Code::text_data,
        "{}: looks like UTF-16, and text must be UTF-8", name());
  const std::string_view format = text.starts_with("\x1F\x8B\x08"sv) ? "gzip within gzip or Zstandard"
                                  : text.starts_with("\x28\xB5\x2F\xFD"sv)
                                      ? "Zstandard within gzip or Zstandard"
                                      : unreadable_format(as_bytes(text));
  check(format.empty(), Code::text_data, "{}: looks like {}, and text is read plain, as gzip or as Zstandard",
        name(), format);
  if (text.starts_with("\xEF\xBB\xBF"sv)) notes_.byte_order_mark = true, begin_ = 3;
}

bool LineReader::more() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    offset_ += begin_, end_ -= begin_, begin_ = 0;
  }
  if (buffer_.size() - end_ < kBlock) buffer_.resize(std::max(2 * buffer_.size(), end_ + kBlock));
  const std::size_t n = stream_.read(std::as_writable_bytes(std::span(buffer_.data() + end_, kBlock)));
  end_ += n, notes_.bytes += n;
  return n > 0;
}

bool LineReader::next(Line& line) {
  line = {};
  const Extent extent = find_end();
  if (extent.length == 0 && !extent.fed) return false;
  ++notes_.lines;
  line.fed = extent.fed;
  if (extent.length > options_.limits.line_bytes) {
    check(options_.pass_over_long_lines, Code::size,
          "{}: line {}: has more than {} bytes, which is the most a line may have", name(), notes_.lines,
          options_.limits.line_bytes);
    line.too_long = true;
    pass_over();
    return true;
  }
  line.text = {buffer_.data() + begin_, extent.length};
  begin_ += extent.length + extent.fed;
  if (extent.fed && line.text.ends_with('\r')) line.text.remove_suffix(1);
  check_text(line);
  return true;
}

LineReader::Extent LineReader::find_end() {
  for (std::size_t searched = 0;;) {
    const char* const from = buffer_.data() + begin_;
    const std::size_t there = end_ - begin_;
    const auto* feed = static_cast<const char*>(std::memchr(from + searched, '\n', there - searched));
    if (feed) return {static_cast<std::size_t>(feed - from), true};
    if (there > options_.limits.line_bytes || !more()) return {there, false};
    searched = there;
  }
}

// The text of `line` must still lie in buffer_.
void LineReader::check_text(Line& line) {
  if (const auto bad = utf8_error(line.text)) {
    const auto place = static_cast<std::size_t>(line.text.data() - buffer_.data()) + *bad;
    check(
        options_.invalid_utf8 == InvalidUtf8::replace, Code::utf8,
        "{}: line {}, byte {} (offset {}): 0x{:02X} is not UTF-8 here; data.invalid_utf8=replace accepts it",
        name(), notes_.lines, *bad + 1, offset_ + place, static_cast<unsigned char>(buffer_[place]));
    repaired_ = utf8_repaired(line.text);
    line.text = repaired_;
    ++notes_.repaired;
  }
  if (std::memchr(line.text.data(), '\0', line.text.size()))
    notes_.nul_bytes += static_cast<std::uint64_t>(std::count(line.text.begin(), line.text.end(), '\0'));
}

bool LineReader::pass_over() {
  for (;;) {
    const auto* feed = static_cast<const char*>(std::memchr(buffer_.data() + begin_, '\n', end_ - begin_));
    if (feed) {
      begin_ = static_cast<std::size_t>(feed - buffer_.data()) + 1;
      return true;
    }
    begin_ = end_;
    if (!more()) return false;
  }
}

std::uint64_t LineReader::count_rest() {
  while (begin_ < end_ || more()) {
    ++notes_.lines;
    if (!pass_over()) break;
  }
  return notes_.lines;
}

}  // namespace glossa
