#include "text/unigram.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr double kUnknownPenalty =
    10;  // an unknown character is as much less likely than the least likely piece

// The library's parser divides the digits, a whole number rounded to a double, by a power of ten: an error in
// the last bit, which decides between ways to cut a text whose scores have the same sum. `score` was written
// with the fewest digits that tell it from others.
double as_the_library_reads(double score) {
  char text[64];
  const char* const end =
      std::to_chars(text, std::end(text), std::abs(score), std::chars_format::scientific).ptr;
  std::uint64_t whole = 0;  // of at most 17 digits
  int exponent = 0;
  bool fraction = false;
  for (const char* c = text; c < end && *c != 'e'; ++c) {
    if (*c == '.') {
      fraction = true;
      continue;
    }
    whole = whole * 10 + static_cast<std::uint64_t>(*c - '0');
    exponent -= fraction;
  }
  int given = 0;
  const char* e = std::find(static_cast<const char*>(text), end, 'e') + 1;
  std::from_chars(e + (*e == '+'), end, given);
  exponent += given;
  if (exponent < -300 || exponent > 300) return score;
  const auto digits = static_cast<double>(whole);
  double power = 1;
  for (int i = 0; i < std::abs(exponent); ++i) power *= 10;
  return std::copysign(exponent < 0 ? digits / power : digits * power, score);
}

}  // namespace

Unigram::Unigram(const UnigramModel& model, std::string_view origin)
    : model_(model), origin_(origin), scores_(model.scores) {
  if (model.scores_of_json)
    for (double& score : scores_) score = as_the_library_reads(score);
  std::vector<PieceTrie::Entry> entries;
  double least = std::numeric_limits<double>::infinity();
  for (Token id = 0; id < model.vocabulary.size(); ++id) {
    entries.emplace_back(model.vocabulary[id], id);
    least = std::min(least, scores_[static_cast<std::size_t>(id)]);
  }
  pieces_ = PieceTrie(std::move(entries));
  unknown_score_ = least - kUnknownPenalty;
  for (int b = 0; b < 256; ++b) bytes_[b] = model.vocabulary.find(fmt::format("<0x{:02X}>", b));
}

Token Unigram::unknown() const {
  check(model_.unk_id.has_value(), Code::tokenizer,
        "{}: a character is in no piece, and no unk_id says what stands for the unknown", origin_);
  return *model_.unk_id;
}

// Viterbi's algorithm, forwards: for each place the best way that ends there.
void Unigram::find_best(std::string_view word, std::vector<Scratch::Best>& best) const {
  best.assign(word.size() + 1, {0, kNowhere, -1});
  for (std::size_t begin = 0; begin < word.size();) {
    const double here = best[begin].score;
    const auto offer = [&](std::size_t end, double score, Token id) {
      Scratch::Best& b = best[end];
      if (b.begin == kNowhere || score > b.score) b = {score, static_cast<std::uint32_t>(begin), id};
    };
    std::size_t next = begin;
    utf8_next(word, next);
    bool known = false;  // whether the character at `begin` is a piece
    pieces_.each_prefix(word.substr(begin), [&](std::size_t size, Token id) {
      offer(begin + size, scores_[static_cast<std::size_t>(id)] + here, id);
      known = known || begin + size == next;
    });
    if (!known) offer(next, unknown_score_ + here, unknown());
    begin = next;
  }
}

void Unigram::put_unknown(std::string_view text, std::vector<Symbol>& symbols) const {
  const auto size = static_cast<std::uint32_t>(text.size());
  const Token same = model_.vocabulary.find(text);
  const auto byte = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (same >= 0 || !model_.byte_fallback ||
      std::any_of(text.begin(), text.end(), [&](char c) { return byte(c) < 0; })) {
    symbols.push_back({same >= 0 ? same : unknown(), size});
    return;
  }
  for (std::size_t i = 0; i < text.size(); ++i) symbols.push_back({byte(text[i]), i == 0 ? size : 0});
}

void Unigram::encode(std::string_view word, Scratch& scratch, std::vector<Symbol>& symbols) const {
  symbols.clear();
  find_best(word, scratch.best_);
  auto& pieces = scratch.backwards_;
  pieces.clear();
  for (std::size_t end = word.size(); end > 0;) {
    const auto& b = scratch.best_[end];
    const auto size = static_cast<std::uint32_t>(end - b.begin);
    if (b.id == model_.unk_id && !pieces.empty() && pieces.back().id == b.id) {
      pieces.back().size += size;
    } else {
      pieces.push_back({b.id, size});
    }
    end = b.begin;
  }
  std::size_t at = 0;
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); at += piece->size, ++piece) {
    if (piece->id == model_.unk_id) {
      put_unknown(word.substr(at, piece->size), symbols);
    } else {
      symbols.push_back(*piece);
    }
  }
}

}  // namespace glossa
