#include "text/tokenizer.h"

#include "base/error.h"
#include "base/parallel.h"
#include "base/unicode.h"
#include "text/tokenizer_json.h"
#include "text/tokenizer_state.h"
#include "text/vocabulary_files.h"

namespace glossa {
namespace {

// The bytes at the end of `text` that begin a character and do not finish it.
std::size_t unfinished(std::string_view text) {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const std::string_view tail = text.substr(text.size() - size);
    const auto first = static_cast<unsigned char>(tail[0]);
    if ((first & 0xC0) == 0x80) continue;
    if (first < 0xC2 || first > 0xF4) return 0;
    // After the second byte every byte that continues at all will do.
    return size == 1 || utf8_length_at(std::string(tail) + "\x80\x80", 0) > size ? size : 0;
  }
  return 0;
}

}  // namespace

Tokenizer::Tokenizer(TokenizerParts parts)
    : state_(std::make_shared<const TokenizerState>(std::move(parts))) {}

Tokenizer Tokenizer::load(const fs::path& path, const Limits& limits) {
  return Tokenizer(read_tokenizer(path, limits));
}

Tokenizer Tokenizer::parse(std::string_view json, std::string_view origin, const Limits& limits) {
  return Tokenizer(parse_tokenizer(json, origin, limits));
}

void Tokenizer::save(const fs::path& directory) const {
  write_file(directory / "tokenizer.json", to_json());
  write_file(directory / "tokenizer_config.json", to_tokenizer_config(special_tokens()));
}

std::string Tokenizer::to_json() const {
  return to_tokenizer_json(parts());
}

std::string Tokenizer::hash() const {
  return sha256(as_bytes(to_json()));
}

void Tokenizer::encode(std::string_view text, std::vector<Token>& ids, bool special) const {
  const TokenizerState::Lease work = state_->lease();
  state_->encode(text, nullptr, *work);
  state_->append_result(*work, special, ids);
}

std::vector<Token> Tokenizer::encode(std::string_view text, bool special) const {
  std::vector<Token> ids;
  encode(text, ids, special);
  return ids;
}

void Tokenizer::encode(std::string_view text, const BpeDropout& how, std::vector<Token>& ids,
                       bool special) const {
  check(how.probability >= 0 && how.probability <= 1, Code::bad_value,
        "BPE-dropout of {}; it is a probability, from 0 to 1", how.probability);
  check(how.probability == 0 || std::holds_alternative<BpeModel>(parts().model), Code::bad_value,
        "BPE-dropout of {}: {} is no model of byte-pair encoding, and has no merges to pass over",
        how.probability, parts().origin);
  const TokenizerState::Lease work = state_->lease();
  DropoutNumbers numbers(how.probability, how.seed, how.sample);
  state_->encode(text, how.probability > 0 ? &numbers : nullptr, *work);
  state_->append_result(*work, special, ids);
}

Encoding Tokenizer::encode_with_offsets(std::string_view text, bool special) const {
  const TokenizerState::Lease work = state_->lease();
  Encoding encoding;
  state_->encode_with_offsets(text, *work, encoding);
  post_process(parts().post_processor, text, special, encoding);
  return encoding;
}

std::vector<std::vector<Token>> Tokenizer::encode_lines(std::span<const std::string_view> lines,
                                                        bool special) const {
  constexpr std::int64_t kGrain = 64;  // lines: some tens of microseconds of work
  std::vector<std::vector<Token>> all(lines.size());
  parallel_for(static_cast<std::int64_t>(lines.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      encode(lines[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(i)], special);
  });
  return all;
}

std::string Tokenizer::decode(std::span<const Token> ids, bool skip_special) const {
  return state_->decode(ids, skip_special, false);
}

std::string Tokenizer::decode_bytes(std::span<const Token> ids, bool skip_special) const {
  return state_->decode(ids, skip_special, true);
}

std::int64_t Tokenizer::size() const {
  return state_->size();
}

std::optional<Token> Tokenizer::id(std::string_view piece) const {
  const Token id = state_->find(piece);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::string_view Tokenizer::piece(Token id) const {
  state_->check_id(id);
  return state_->piece(id);
}

bool Tokenizer::is_special(Token id) const {
  return state_->is_special(id);
}
const SpecialTokens& Tokenizer::special_tokens() const {
  return parts().special_tokens;
}
const TokenizerParts& Tokenizer::parts() const {
  return state_->parts();
}

Tokenizer::Stream::Stream(Tokenizer tokenizer, bool skip_special)
    : state_(std::move(tokenizer.state_)), skip_special_(skip_special) {}

std::string Tokenizer::Stream::push(Token id) {
  state_->check_id(id);
  if (skip_special_ && state_->is_special(id)) return "";
  ids_.push_back(id);
  std::string text = state_->decode(ids_, skip_special_, true);
  const std::size_t held = unfinished(text), certain = std::max(text.size() - held, given_);
  const std::string out = text.substr(given_, certain - given_);
  given_ = certain;
  if (held == 0) {
    // A decoder looks back no further than one token: it may treat the first one differently.
    ids_ = {id};
    given_ = state_->decode(ids_, skip_special_, true).size();
  }
  return utf8_repaired(out);
}

std::string Tokenizer::Stream::finish() {
  const std::string text = state_->decode(ids_, skip_special_, true);
  const std::string out = text.size() > given_ ? utf8_repaired(std::string_view(text).substr(given_)) : "";
  ids_.clear();
  given_ = 0;
  return out;
}

}  // namespace glossa
