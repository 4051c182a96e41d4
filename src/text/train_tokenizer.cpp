#include "text/train_tokenizer.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/error.h"
#include "base/parallel.h"
#include "text/byte_level.h"
#include "text/hash.h"
#include "text/parts.h"
#include "text/train_bpe.h"

namespace glossa {
namespace {

using Words = std::vector<CountedWord>;

// What texts go through before they are words.
TokenizerParts pipeline_of(const TokenizerTraining& how) {
  TokenizerParts parts;
  parts.special_tokens = how.special_tokens;
  if (how.normalization && how.kind != TokenizerKind::byte_bpe) parts.normalizer.push_back(normalizer::Unicode{*how.normalization});
  if (how.lowercase) parts.normalizer.push_back(normalizer::Lowercase{});
  if (how.kind == TokenizerKind::byte_bpe) {
    parts.pre_tokenizer = {
        pre_tokenizer::ByteLevel{.add_prefix_space = false, .trim_offsets = true, .use_regex = true}};
    parts.decoder = {decoder::ByteLevel{}};
    return parts;
  }
  if (how.kind == TokenizerKind::chars && how.keep_white_space) {
    parts.decoder = {decoder::Fuse{}};
    return parts;
  }
  parts.pre_tokenizer = {pre_tokenizer::Metaspace{}};
  if (how.kind != TokenizerKind::chars)
    parts.pre_tokenizer.push_back(pre_tokenizer::Punctuation{pre_tokenizer::Behavior::contiguous});
  parts.decoder = {decoder::Metaspace{}};
  return parts;
}

struct CountedCharacter {
  char32_t character;
  std::uint64_t count;
};

// The characters to keep, by code point.
std::vector<char32_t> alphabet_of(const Words& words, const TokenizerTraining& how) {
  std::unordered_map<char32_t, std::uint64_t> counts;
  std::uint64_t all = 0;
  for (const CountedWord& word : words)
    for (std::size_t at = 0; at < word.text.size();)
      counts[utf8_next(word.text, at)] += word.count, all += word.count;
  std::vector<CountedCharacter> by_count;
  for (const auto& [character, count] : counts) by_count.push_back({character, count});
  std::sort(by_count.begin(), by_count.end(), [](const auto& a, const auto& b) {
    return a.count != b.count ? a.count > b.count : a.character < b.character;
  });

  std::size_t keep = by_count.size();
  if (how.limit_alphabet) keep = std::min(keep, static_cast<std::size_t>(*how.limit_alphabet));
  if (how.kind == TokenizerKind::chars) {
    keep = std::min(keep, static_cast<std::size_t>(how.vocab_size) - how.first_pieces.size());
    while (keep > 0 && by_count[keep - 1].count < static_cast<std::uint64_t>(how.min_frequency)) --keep;
  }
  const auto wanted = static_cast<double>(all) * how.character_coverage;
  double covered = 0;
  std::vector<char32_t> kept;
  for (std::size_t i = 0; i < keep && covered < wanted; ++i) {
    covered += static_cast<double>(by_count[i].count);
    kept.push_back(by_count[i].character);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

// All 256 bytes under their names, by the names' code points.
std::vector<char32_t> byte_alphabet() {
  std::vector<char32_t> all;
  for (const std::string& name : byte_names()) {
    std::size_t at = 0;
    all.push_back(utf8_next(name, at));
  }
  std::sort(all.begin(), all.end());
  return all;
}

BpeModel learn_bpe(const Words& words, const TokenizerTraining& how) {
  const bool bytes = how.kind == TokenizerKind::byte_bpe;
  BpeModel model;
  if (!bytes && !how.special_tokens.unk.empty()) model.unk_token = how.special_tokens.unk;
  for (const std::string& piece : how.first_pieces) model.vocabulary.add(piece);
  for (const char32_t c : bytes ? byte_alphabet() : alphabet_of(words, how)) {
    std::string piece;
    utf8_append(piece, c);
    model.vocabulary.add(piece);
  }
  check(model.vocabulary.size() <= how.vocab_size, Code::bad_value,
        "a vocabulary of {} is too small for {} characters and special tokens; raise vocab_size, or lower "
        "character_coverage",
        how.vocab_size, model.vocabulary.size());
  if (how.kind != TokenizerKind::chars)
    model.merges = learn_merges(words, bytes, {how.vocab_size, static_cast<std::uint64_t>(how.min_frequency)},
                                model.vocabulary);
  return model;
}

WordLevelModel learn_words(Words words, const TokenizerTraining& how) {
  std::sort(words.begin(), words.end(), [](const CountedWord& a, const CountedWord& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
  WordLevelModel model;
  model.unk_token = how.special_tokens.unk;
  for (const std::string& piece : how.first_pieces) model.vocabulary.add(piece);
  for (const CountedWord& word : words) {
    if (model.vocabulary.size() >= how.vocab_size ||
        word.count < static_cast<std::uint64_t>(how.min_frequency))
      break;
    model.vocabulary.add(word.text);
  }
  return model;
}

PostProcessor eos_after(const std::string& eos, Token id) {
  using post_processor::Piece;
  const auto text = [](Piece::Kind kind, int type) { return Piece{kind, "", type}; };
  const auto end = [&](int type) { return Piece{Piece::Kind::special, eos, type}; };
  return {post_processor::Template{
      .single = {text(Piece::Kind::first, 0), end(0)},
      .pair = {text(Piece::Kind::first, 0), end(0), text(Piece::Kind::second, 1), end(1)},
      .special_tokens = {{eos, {{id}, {eos}}}}}};
}

}  // namespace

// The words of many texts with their counts: open addressing over one string of all words.
class TokenizerTrainer::Counter {
 public:
  void add(const TokenizerParts& pipeline, std::string_view text) {
    std::string repaired;
    if (!gives_bytes(pipeline.pre_tokenizer) && utf8_error(text)) text = repaired = utf8_repaired(text);
    text_.reset(text, 0, false);
    normalize(pipeline.normalizer, text_);
    const auto& pieces = cutter_.cut(pipeline.pre_tokenizer, text_);
    for (const Piece& p : pieces) count(text_.view().substr(p.begin, p.end - p.begin), 1);
  }
  void add(const Counter& other) {
    for (const Slot& s : other.slots_)
      if (s.count > 0) count(other.text_of(s), s.count);
  }
  // By their texts, so that the order does not depend on who counted what.
  Words words() const {
    Words all;
    all.reserve(size_);
    for (const Slot& s : slots_)
      if (s.count > 0) all.push_back({text_of(s), s.count});
    std::sort(all.begin(), all.end(),
              [](const CountedWord& a, const CountedWord& b) { return a.text < b.text; });
    return all;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0, at = 0, count = 0;
    std::uint32_t size = 0;
  };

  std::string_view text_of(const Slot& s) const { return std::string_view(bytes_).substr(s.at, s.size); }

  void count(std::string_view word, std::uint64_t times) {
    const std::uint64_t hash = hash_bytes(word, seed_);
    for (std::size_t i = hash;; ++i) {
      Slot& s = slots_[i &= slots_.size() - 1];
      if (s.count == 0) {
        s = {hash, bytes_.size(), times, static_cast<std::uint32_t>(word.size())};
        bytes_ += word;
        if (2 * ++size_ > slots_.size()) grow();
        return;
      }
      if (s.hash == hash && text_of(s) == word) {
        s.count += times;
        return;
      }
    }
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& s : old) {
      if (s.count == 0) continue;
      std::size_t i = s.hash;
      while (slots_[i &= slots_.size() - 1].count > 0) ++i;
      slots_[i] = s;
    }
  }

  const std::uint64_t seed_ = hash_seed();
  AlignedText text_;
  PieceCutter cutter_;
  std::string bytes_;
  std::vector<Slot> slots_ = std::vector<Slot>(1 << 12);
  std::size_t size_ = 0;
};

TokenizerTrainer::TokenizerTrainer(TokenizerTraining how)
    : how_(std::move(how)), pipeline_(std::make_unique<TokenizerParts>(pipeline_of(how_))) {
  check(how_.vocab_size > static_cast<std::int64_t>(how_.first_pieces.size()) && how_.vocab_size <= INT32_MAX,
        Code::bad_value, "a vocabulary of {} with {} special tokens; it must be larger, and at most {}",
        how_.vocab_size, how_.first_pieces.size(), INT32_MAX);
  check(how_.character_coverage > 0 && how_.character_coverage <= 1, Code::bad_value,
        "a character_coverage of {}; it is more than 0 and at most 1", how_.character_coverage);
  check(!how_.limit_alphabet || *how_.limit_alphabet > 0, Code::bad_value,
        "limit_alphabet must be at least 1");
  check(how_.min_frequency >= 0, Code::bad_value, "min_frequency cannot be negative, found {}",
        how_.min_frequency);
  const SpecialTokens& s = how_.special_tokens;
  const auto known = [&](const std::string& piece) {
    return std::count(how_.first_pieces.begin(), how_.first_pieces.end(), piece) == 1;
  };
  for (const std::string& piece : how_.first_pieces)
    check(!piece.empty() && known(piece), Code::bad_value, "the special token {} is empty or there twice",
          quoted(piece));
  for (const std::string* token : {&s.bos, &s.eos, &s.unk, &s.pad, &s.sep, &s.cls, &s.mask})
    check(token->empty() || known(*token), Code::bad_value,
          "the special token {} has no id: name it in first_pieces", quoted(*token));
  check(!how_.append_eos || !s.eos.empty(), Code::bad_value, "append_eos without an eos token");
  check(how_.kind == TokenizerKind::byte_bpe || !s.unk.empty(), Code::bad_value,
        "only byte_bpe can do without an unk token");
}

TokenizerTrainer::~TokenizerTrainer() = default;

void TokenizerTrainer::add(std::span<const std::string_view> texts) {
  const std::size_t tasks =
      std::min<std::size_t>(static_cast<std::size_t>(thread_count()), (texts.size() + 255) / 256);
  while (counters_.size() < tasks) counters_.push_back(std::make_unique<Counter>());
  parallel_tasks(static_cast<std::int64_t>(tasks), [&](std::int64_t task) {
    const auto t = static_cast<std::size_t>(task);
    for (std::size_t i = texts.size() * t / tasks; i < texts.size() * (t + 1) / tasks; ++i)
      counters_[t]->add(*pipeline_, texts[i]);
  });
}

Tokenizer TokenizerTrainer::train() const {
  Counter all;
  for (const auto& counter : counters_) all.add(*counter);
  const Words words = all.words();
  check(!words.empty(), Code::empty, "no text to learn a vocabulary from");
  TokenizerParts parts = *pipeline_;
  if (how_.kind == TokenizerKind::words) {
    parts.model = learn_words(words, how_);
  } else {
    parts.model = learn_bpe(words, how_);
  }
  for (const std::string& piece : how_.first_pieces)
    parts.added_tokens.push_back(
        {.id = parts.vocabulary().find(piece), .content = piece, .normalized = false, .special = true});
  const std::string& eos = how_.special_tokens.eos;
  if (how_.append_eos) parts.post_processor = eos_after(eos, parts.vocabulary().find(eos));
  return Tokenizer(std::move(parts));
}

}  // namespace glossa
