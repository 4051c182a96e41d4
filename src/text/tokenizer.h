// tokenizer.h -- text to token ids and back, as a Hugging Face tokenizer.json describes it: added tokens,
// normalizer, pre-tokenizer, model (BPE, WordPiece, words, Unigram), post-processor, decoder. What the
// library `tokenizers` makes of a file, this makes of it too: the same ids for every text, and files go both
// ways.
//
// A Tokenizer never changes once made; copies share it; all functions may be called from several threads at
// once.
//
// Text that is not UTF-8: byte-level tokenizers without a normalizer take each byte as it is, and
// decode_bytes gives it back; all others see U+FFFD for each ill-formed part.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "text/aligned_text.h"
#include "text/special_tokens.h"
#include "text/vocabulary.h"

namespace glossa {

struct TokenizerParts;  // text/parts.h: the components, to take apart or put together
class TokenizerState;

struct Encoding {  // all of one length
  std::vector<Token> ids;
  std::vector<std::string> pieces;
  std::vector<Offsets> offsets;  // [0, 0) for tokens the post-processor added
  std::vector<bool> special;     // added by the post-processor
};

// BPE-dropout (Provilkov et al., 2020): each merge is passed over with this probability. The same (seed,
// sample) gives the same ids.
struct BpeDropout {
  double probability = 0;
  std::uint64_t seed = 0, sample = 0;
};

class Tokenizer {
 public:
  // A tokenizer.json, or a directory with one and perhaps tokenizer_config.json and special_tokens_map.json;
  // or with other files of vocabularies (text/vocabulary_files.h). Error(tokenizer) names the place and what
  // is supported.
  static Tokenizer load(const fs::path& path, const Limits& limits = {});
  static Tokenizer parse(std::string_view json, std::string_view origin, const Limits& limits = {});
  explicit Tokenizer(TokenizerParts parts);

  // Writes tokenizer.json and tokenizer_config.json into a directory that exists.
  void save(const fs::path& directory) const;
  std::string to_json() const;
  // Of everything that decides ids: the SHA-256 of to_json().
  std::string hash() const;

  // Appends the ids of `text`. `special`: with the tokens the post-processor adds (such as </s>). Error(size)
  // from 2^31 bytes on.
  void encode(std::string_view text, std::vector<Token>& ids, bool special = true) const;
  std::vector<Token> encode(std::string_view text, bool special = true) const;
  void encode(std::string_view text, const BpeDropout& dropout, std::vector<Token>& ids,
              bool special = true) const;
  // Error(utf8) for text that is not UTF-8, unless the tokenizer takes bytes: offsets of other text mean
  // nothing.
  Encoding encode_with_offsets(std::string_view text, bool special = true) const;
  // Of each line, on all threads.
  std::vector<std::vector<Token>> encode_lines(std::span<const std::string_view> lines,
                                               bool special = true) const;

  // Always UTF-8: bytes that form no character are U+FFFD. Error(tokenizer) for an id that does not exist.
  std::string decode(std::span<const Token> ids, bool skip_special = false) const;
  // The very bytes that were encoded, which need not be UTF-8.
  std::string decode_bytes(std::span<const Token> ids, bool skip_special = false) const;

  // Decodes as tokens arrive. What is handed out never ends within a character.
  class Stream {
   public:
    explicit Stream(Tokenizer tokenizer, bool skip_special = true);
    std::string push(Token id);  // the text that is certain now
    std::string finish();        // the rest: U+FFFD for bytes that never became a character

   private:
    std::shared_ptr<const TokenizerState> state_;
    bool skip_special_;
    std::vector<Token> ids_;  // the last ones, as far back as the next one's text may depend on them
    std::size_t given_ = 0;   // bytes of their text that were handed out
  };

  std::int64_t size() const;  // ids are less than this; a model's vocab_size is at least this
  std::optional<Token> id(std::string_view piece) const;
  std::string_view piece(Token id) const;  // Error(tokenizer) if it does not exist
  bool is_special(Token id) const;         // of the added tokens marked special
  const SpecialTokens& special_tokens() const;
  const TokenizerParts& parts() const;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerState> state) : state_(std::move(state)) {}
  std::shared_ptr<const TokenizerState> state_;
};

}  // namespace glossa
