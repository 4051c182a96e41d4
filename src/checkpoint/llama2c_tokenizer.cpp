#include "checkpoint/llama2c_tokenizer.h"

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::string_view kSpecial[] = {"<unk>", "<s>", "</s>"};
constexpr std::size_t kBytes = 3;  // where they begin

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const bool here = text.substr(at).starts_with(from);
    out += here ? to : text.substr(at, 1);
    at += here ? from.size() : 1;
  }
  return out;
}

bool is_byte(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">");
}

}  // namespace

fs::path llama2c_tokenizer_of(const fs::path& model) {
  fs::path path = model;
  return path.replace_extension(".tokenizer.bin");
}

Tokenizer load_llama2c_tokenizer(const fs::path& path, const Limits& limits) {
  const Llama2cTokenizer file = read_llama2c_tokenizer(as_bytes(read_file(path)), shown(path), limits);
  check(file.pieces.size() > kBytes, Code::tokenizer, "{}: {} tokens; at least {} are wanted", shown(path),
        file.pieces.size(), kBytes + 1);
  MadeGgufVocabulary made;
  made.model = "llama";
  for (std::size_t i = 0; i < file.pieces.size(); ++i) {
    made.tokens.push_back(i < kBytes ? std::string(kSpecial[i]) : replaced(file.pieces[i], " ", kWordMark));
    made.token_types.push_back(i == 0                    ? gguf_token_type::unknown
                               : i < kBytes              ? gguf_token_type::control
                               : is_byte(file.pieces[i]) ? gguf_token_type::byte
                                                         : gguf_token_type::normal);
  }
  made.scores = file.scores;
  made.unknown_token_id = 0, made.bos_token_id = 1, made.eos_token_id = 2;
  made.add_bos_token = true, made.add_space_prefix = true;
  GgufVocabulary view = made.view();
  view.origin = shown(path);
  return Tokenizer(tokenizer_of_gguf(view));
}

Llama2cTokenizer make_llama2c_tokenizer(const MadeGgufVocabulary& v, const std::string& origin) {
  check(v.model == "llama" && v.add_space_prefix.value_or(true), Code::tokenizer,
        "{}: files of llama2.c hold vocabularies of SentencePiece's BPE with a space before texts, and this "
        "is another",
        origin);
  for (std::size_t i = 0; i < kBytes; ++i)
    check(i < v.tokens.size() && v.tokens[i] == kSpecial[i], Code::tokenizer,
          "{}: token {} is {}; llama2.c has {} there", origin, i,
          i < v.tokens.size() ? quoted(v.tokens[i]) : "missing", kSpecial[i]);
  check(v.add_bos_token && !v.add_eos_token, Code::tokenizer,
        "{}: llama2.c puts <s> before a text, and nothing behind it", origin);
  Llama2cTokenizer made;
  for (std::size_t i = 0; i < v.tokens.size(); ++i) {
    made.pieces.push_back(i == 1 || i == 2 ? "\n" + v.tokens[i] + "\n" : replaced(v.tokens[i], kWordMark, " "));
    made.scores.push_back(v.scores[i]);
  }
  return made;
}

}  // namespace glossa
