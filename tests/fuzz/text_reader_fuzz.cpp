// text_reader_fuzz.cpp -- any bytes as a text file, plain or compressed: its lines are well formed, and are
// those that a reader of four lines of code finds in the same text.
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unicode.h"
#include "data/line_reader.h"
#include "fuzz.h"

namespace {

using namespace glossa;

std::vector<std::string> simple_lines(std::string text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::vector<std::string> lines;
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (end < text.size() && line.ends_with('\r')) line.pop_back();
    lines.push_back(utf8_repaired(line));
  }
  return lines;
}

// All of the text, which must not be much.
std::string inflated(std::string_view bytes, const Limits& limits) {
  ByteStream stream = ByteStream::of_bytes(as_bytes(bytes), "input", limits);
  std::string text, block(1 << 14, '\0');
  while (const std::size_t n = stream.read(std::as_writable_bytes(std::span(block))))
    text.append(block, 0, n);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = fuzz_text(data, size);
  TextOptions options{.invalid_utf8 = InvalidUtf8::replace};
  options.limits.line_bytes = 1 << 16;
  options.pass_over_long_lines = true;
  try {
    LineReader reader(ByteStream::of_bytes(as_bytes(bytes), "input", options.limits), options);
    std::vector<std::string> lines;
    std::size_t held = 0;
    bool all = true;  // every line was read whole, and little enough to be compared
    for (LineReader::Line line; reader.next(line);) {
      require(line.text.find('\n') == std::string_view::npos && !utf8_error(line.text));
      require(reader.line_number() == reader.notes().lines);
      held += line.text.size() + 1;
      all = all && !line.too_long && held < (1 << 18) && lines.size() < 10'000;
      if (all) lines.emplace_back(line.text);
    }
    if (all) require(lines == simple_lines(inflated(bytes, options.limits)));
    LineReader counter(ByteStream::of_bytes(as_bytes(bytes), "input", options.limits), options);
    require(counter.count_rest() == reader.notes().lines && counter.notes().bytes == reader.notes().bytes);
  } catch (const Error& error) {
    require(error.code() == Code::compressed || error.code() == Code::text_data ||
            error.code() == Code::size);
  }
  return 0;
}
