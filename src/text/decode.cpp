#include "text/decode.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"
#include "text/byte_level.h"

namespace glossa {
namespace {

using Pieces = std::vector<std::string>;

std::string joined(const Pieces& pieces) {
  std::string all;
  for (const std::string& p : pieces) all += p;
  return all;
}

std::size_t bytes_of(const Pieces& pieces) {
  std::size_t size = 0;
  for (const std::string& p : pieces) size += p.size();
  return size;
}

using Pattern = std::variant<std::string, Regex>;

void replace_all(std::string& text, const Pattern& pattern, std::string_view content, std::size_t most) {
  std::vector<Regex::Match> matches;
  const auto* regex = std::get_if<Regex>(&pattern);
  const std::string name = regex ? regex->expression() : std::get<std::string>(pattern);
  if (regex) {
    if (!text.empty()) regex->find_all(text, matches);
  } else if (!name.empty()) {
    find_text(text, name, matches);
  }
  if (matches.empty()) return;
  std::string out;
  std::size_t at = 0;
  for (const auto& m : matches) {
    out.append(text, at, m.begin - at);
    out += content;
    at = m.end;
    check(out.size() + text.size() - at <= most, Code::size,
          "the tokenizer's decoder makes text more than 32 times longer where it replaces {}", quoted(name));
  }
  text = out.append(text, at);
}

// As BERT's and CTC's decoders take spaces away, in this order.
void clean_up(std::string& text) {
  static constexpr std::pair<const char*, const char*> kReplacements[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [pattern, content] : kReplacements) replace_all(text, pattern, content, SIZE_MAX);
}

// The byte of a piece <0x0A>, or -1.
int fallback_byte(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

struct Apply {
  Pieces& pieces;
  bool exact;
  std::size_t most;  // bytes that they may become

  void operator()(const decoder::ByteLevel&) const {
    std::string bytes;
    for (const std::string& p : pieces) bytes += from_byte_names(p).value_or(p);
    pieces = {exact ? std::move(bytes) : utf8_repaired(bytes)};
  }

  void operator()(const decoder::Metaspace& step) const {
    for (std::size_t i = 0; i < pieces.size(); ++i)
      replace_all(pieces[i], step.replacement, i == 0 && step.prepend_scheme != "never" ? "" : " ", most);
  }

  void operator()(const decoder::Bpe& step) const {
    for (std::size_t i = 0; i < pieces.size(); ++i)
      replace_all(pieces[i], step.suffix, i + 1 == pieces.size() ? "" : " ", most);
  }

  // Bytes in a row that are no text are as many U+FFFD.
  void operator()(const decoder::ByteFallback&) const {
    Pieces out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (exact || !utf8_error(bytes)) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& p : pieces) {
      const int byte = fallback_byte(p);
      if (byte >= 0) {
        bytes += static_cast<char>(byte);
        continue;
      }
      flush();
      out.push_back(std::move(p));
    }
    flush();
    pieces = std::move(out);
  }

  void operator()(const decoder::Fuse&) const { pieces = {joined(pieces)}; }

  void operator()(const decoder::Strip& step) const {
    const std::size_t size = step.content.size();
    for (std::string& p : pieces) {
      std::string_view rest = p;
      for (std::size_t i = 0; i < step.start && rest.starts_with(step.content); ++i) rest.remove_prefix(size);
      for (std::size_t i = 0; i < step.stop && rest.ends_with(step.content); ++i) rest.remove_suffix(size);
      p = std::string(rest);
    }
  }

  void operator()(const decoder::Replace& step) const {
    std::size_t size = bytes_of(pieces);
    for (std::string& p : pieces) {
      size -= p.size();
      replace_all(p, step.pattern, step.content, most - size);
      size += p.size();
    }
  }

  void operator()(const decoder::WordPiece& step) const {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      std::string& p = pieces[i];
      if (i > 0) p = p.starts_with(step.prefix) ? p.substr(step.prefix.size()) : " " + p;
      if (step.cleanup) clean_up(p);
    }
  }

  void operator()(const decoder::Ctc& step) const {
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (std::string& p : pieces) {
      replace_all(p, step.pad_token, "", most);
      if (!step.cleanup) continue;
      clean_up(p);
      replace_all(p, step.word_delimiter_token, " ", most);
    }
    std::erase(pieces, "");
  }
};

}  // namespace

std::string decode(const Decoder& decoder, Pieces pieces, bool exact) {
  if (decoder.empty()) {
    std::string text;
    for (std::size_t i = 0; i < pieces.size(); ++i) text += (i > 0 ? " " : "") + pieces[i];
    return text;
  }
  const std::size_t most = 32 * (bytes_of(pieces) + 16);
  for (const auto& step : decoder) std::visit(Apply{pieces, exact, most}, step);
  std::string text = joined(pieces);
  // Bytes of several pieces may have met only after their decoder.
  return exact || !utf8_error(text) ? text : utf8_repaired(text);
}

}  // namespace glossa
