#include "text/vocabulary_files.h"

#include <vector>

#include "base/error.h"
#include "base/unicode.h"
#include "text/read_components.h"
#include "text/tokenizer_classes.h"
#include "text/tokenizer_json.h"
#include "text/unicode_classes.h"

namespace glossa {
namespace {

constexpr std::size_t kPieceBytes = 1024;
constexpr std::uint64_t kFileBytes = 512u << 20;  // vocabularies have some MB

constexpr const char* kSentencePieceFiles[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"};

// Calls line(text, number) for each, without its end.
template <class F>
void each_line(std::string_view text, F&& line) {
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view one = text.substr(0, end);
    if (one.ends_with('\r')) one.remove_suffix(1);
    line(one, ++number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void check_utf8(std::string_view text, std::string_view origin) {
  if (const auto bad = utf8_error(text))
    fail(Code::utf8, "{}: byte {} is not UTF-8; found 0x{:02X}", origin, *bad,
         static_cast<unsigned char>(text[*bad]));
}

std::string_view without_spaces_at_end(std::string_view text) {
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0) == 0x80) --last;
    std::size_t at = last;
    if (!(CharClasses::get()[utf8_next(text, at)] & char_class::space)) break;
    text = text.substr(0, last);
  }
  return text;
}

TokenizerParts read_sentencepiece(const fs::path& file, const Limits& limits) {
  const std::string bytes = read_file(file, kFileBytes);
  return tokenizer_of_sentencepiece(parse_sentencepiece(bytes, shown(file), limits),
                                    read_tokenizer_config(file.parent_path(), limits));
}

TokenizerParts read_byte_bpe(const fs::path& file, const Limits& limits) {
  const fs::path merges = file.parent_path() / "merges.txt";
  const BpeModel model = parse_vocab_json(read_file(file, limits.json_bytes), read_file(merges, kFileBytes),
                                          shown(file), shown(merges), limits);
  return tokenizer_of_byte_bpe(model, shown(file), read_tokenizer_config(file.parent_path(), limits));
}

TokenizerParts read_word_piece(const fs::path& file, const Limits& limits) {
  return tokenizer_of_word_piece(parse_vocab_txt(read_file(file, kFileBytes), shown(file), limits),
                                 shown(file), read_tokenizer_config(file.parent_path(), limits));
}

TokenizerParts read_file_by_name(const fs::path& file, const Limits& limits) {
  const fs::path name = file.filename();
  if (name == "vocab.txt") return read_word_piece(file, limits);
  if (name == "vocab.json" || name == "merges.txt")
    return read_byte_bpe(file.parent_path() / "vocab.json", limits);
  if (name.extension() == ".model") return read_sentencepiece(file, limits);
  return parse_tokenizer(read_file(file, limits.json_bytes), shown(file), limits);
}

}  // namespace

WordPieceModel parse_vocab_txt(std::string_view text, std::string_view origin, const Limits& limits) {
  check_utf8(text, origin);
  WordPieceModel model;
  each_line(text, [&](std::string_view line, std::size_t number) {
    const std::string_view piece = without_spaces_at_end(line);
    check(piece.size() <= kPieceBytes, Code::tokenizer,
          "{}: line {}: a piece of {} bytes, at most {} are allowed", origin, number, piece.size(),
          kPieceBytes);
    check(number <= limits.vocabulary, Code::count, "{}: more than {} pieces", origin, limits.vocabulary);
    model.vocabulary.append(piece);
  });
  check(model.vocabulary.size() > 0, Code::tokenizer, "{}: no pieces", origin);
  return model;
}

BpeModel parse_vocab_json(std::string_view json, std::string_view merges, std::string_view origin,
                          std::string_view merges_origin, const Limits& limits) {
  const Json document = parse_json(json, origin, limits);
  BpeModel model;
  model.vocabulary = read_vocabulary(JsonNode(document, "", origin), limits);
  check_utf8(merges, merges_origin);
  each_line(merges, [&](std::string_view line, std::size_t number) {
    if (line.starts_with("#version") || line.empty()) return;
    const std::size_t space = line.find(' ');
    check(space != line.npos && line.find(' ', space + 1) == line.npos, Code::tokenizer,
          "{}: line {}: found {}, wanted two pieces with a space between", merges_origin, number,
          quoted(line));
    check(model.merges.size() < limits.vocabulary, Code::count, "{}: more than {} merges", merges_origin,
          limits.vocabulary);
    const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    const Token a = model.vocabulary.find(left), b = model.vocabulary.find(right);
    check(a >= 0 && b >= 0, Code::tokenizer, "{}: line {}: the piece {} is not in {}", merges_origin, number,
          quoted(a < 0 ? left : right), origin);
    model.merges.emplace_back(a, b);
  });
  return model;
}

TokenizerParts read_tokenizer(const fs::path& path, const Limits& limits) {
  std::error_code error;  // reading the file will say it better
  if (!fs::is_directory(path, error)) return read_file_by_name(path, limits);
  const auto has = [&](const char* name) { return fs::exists(path / name, error); };
  const auto read = [&](const char* name) { return read_file_by_name(path / name, limits); };
  if (!has("tokenizer.json")) {
    for (const char* name : kSentencePieceFiles)
      if (has(name)) return read(name);
    if (has("vocab.json") && has("merges.txt")) return read("vocab.json");
    if (has("vocab.txt")) return read("vocab.txt");
    for (const char* name : {"source.spm", "vocab.json"})
      check(!has(name), Code::tokenizer,
            "{}: has {} and none of the files of tokenizers that are supported: tokenizer.json, "
            "tokenizer.model, "
            "spiece.model, sentencepiece.bpe.model, vocab.json with merges.txt, vocab.txt",
            shown(path), name);
  }
  TokenizerParts parts = read("tokenizer.json");
  parts.special_tokens = read_tokenizer_config(path, limits).special;
  return parts;
}

}  // namespace glossa
