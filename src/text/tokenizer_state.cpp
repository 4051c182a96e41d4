#include "text/tokenizer_state.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"
#include "text/byte_level.h"

namespace glossa {
namespace {

constexpr std::size_t kMostAround = 1024;  // usual are one or two

// Whether a step leaves bytes alone that are no characters.
bool steps_take_bytes(const PreTokenizer& steps) {
  return gives_bytes(steps) && std::all_of(steps.begin(), steps.end(), [](const auto& step) {
           return std::holds_alternative<pre_tokenizer::ByteLevel>(step) ||
                  std::holds_alternative<pre_tokenizer::Split>(step);
         });
}

// Whether some step must know which piece comes from the beginning of the text, and that cannot be told from
// where it stands now.
bool needs_tracking(const TokenizerParts& parts) {
  const bool in_place = std::all_of(parts.normalizer.begin(), parts.normalizer.end(), [](const auto& step) {
    return std::holds_alternative<normalizer::Unicode>(step) ||
           std::holds_alternative<normalizer::Lowercase>(step);
  });
  for (std::size_t i = 0; i < parts.pre_tokenizer.size(); ++i) {
    const auto* metaspace = std::get_if<pre_tokenizer::Metaspace>(&parts.pre_tokenizer[i]);
    if (metaspace && metaspace->prepend_scheme == pre_tokenizer::Prepend::first && (i > 0 || !in_place))
      return true;
  }
  return false;
}

}  // namespace

TokenizerState::TokenizerState(TokenizerParts parts)
    : parts_(std::move(parts)),
      bytes_(gives_bytes(parts_.pre_tokenizer)),
      takes_bytes_(parts_.normalizer.empty() && steps_take_bytes(parts_.pre_tokenizer)),
      tracks_(needs_tracking(parts_)),
      encoder_(parts_.model, bytes_, parts_.origin),
      size_(parts_.vocabulary().size()),
      frame_(frame_of(parts_.post_processor)) {
  std::vector<AddedTokenFinder::Pattern> patterns, normalized_patterns;
  for (const AddedToken& token : parts_.added_tokens) {
    const std::string piece = token.normalized ? normalize(parts_.normalizer, token.content) : token.content;
    (token.normalized ? normalized_patterns : patterns).push_back({&token, piece});
    added_[token.id] = {piece, token.special};
    if (parts_.vocabulary().find(token.content) < 0) beyond_model_[token.content] = token.id;
    size_ = std::max(size_, token.id + 1);
  }
  finder_ = AddedTokenFinder(patterns);
  normalized_finder_ = AddedTokenFinder(normalized_patterns);
  check_ids_of_post_processor();
  if (parts_.decoder.size() == 1 && std::holds_alternative<decoder::ByteLevel>(parts_.decoder[0])) {
    decoded_ends_.push_back(0);
    for (Token id = 0; id < size(); ++id) {
      decoded_ += from_byte_names(piece(id)).value_or(std::string(piece(id)));
      decoded_ends_.push_back(decoded_.size());
    }
  }
}

void TokenizerState::check_ids_of_post_processor() const {
  check(frame_.before.size() + frame_.after.size() <= kMostAround, Code::tokenizer,
        "{}: post_processor: {} tokens around each text; at most {} are allowed", parts_.origin,
        frame_.before.size() + frame_.after.size(), kMostAround);
  for (const auto* ids : {&frame_.before, &frame_.after})
    for (const Token id : *ids)
      check(has(id), Code::tokenizer, "{}: post_processor: the id {} does not exist; ids go from 0 to {}",
            parts_.origin, id, size() - 1);
}

// ---- encoding

// Cuts the text at added tokens. sink.token(id, offsets) and sink.section(aligned text), in order.
template <class Sink>
void TokenizerState::each_section(std::string_view text, bool tracked, TokenizerWorkspace& work,
                                  Sink&& sink) const {
  const auto section = [&](std::size_t begin, std::size_t end) {
    if (begin == end) return;
    work.text.reset(text.substr(begin, end - begin), static_cast<std::uint32_t>(begin), tracked || tracks_);
    normalize(parts_.normalizer, work.text);
    normalized_finder_.find(work.text.view(), work.found_normalized);
    if (work.found_normalized.empty()) {
      if (!work.text.view().empty()) sink.section(work.text);
      return;
    }
    std::uint32_t at = 0;
    const auto part = [&](std::uint32_t until) {
      if (at >= until) return;
      work.part.reset_to_part(work.text, at, until);
      sink.section(work.part);
    };
    for (const FoundToken& token : work.found_normalized) {
      part(token.begin);
      sink.token(token.id, work.text.source(token.begin, token.end));
      at = token.end;
    }
    part(static_cast<std::uint32_t>(work.text.view().size()));
  };
  finder_.find(text, work.found);
  std::size_t at = 0;
  for (const FoundToken& token : work.found) {
    if (token.begin > at) section(at, token.begin);
    sink.token(token.id, Offsets{token.begin, token.end});
    at = token.end;
  }
  section(at, text.size());
}

void TokenizerState::encode(std::string_view text, DropoutNumbers* dropout, TokenizerWorkspace& work) const {
  check(text.size() < std::uint64_t{1} << 31, Code::size,
        "a text of {} bytes; at most {} can be encoded at once", text.size(), (std::uint64_t{1} << 31) - 1);
  std::string repaired;
  if (!takes_bytes_ && utf8_error(text)) text = repaired = utf8_repaired(text);
  struct Sink {
    const TokenizerState& state;
    DropoutNumbers* dropout;
    TokenizerWorkspace& work;
    void token(Token id, Offsets) { work.put(id); }
    void section(AlignedText& section) {
      const auto& pieces = work.cutter.cut(state.parts_.pre_tokenizer, section);
      state.encode_pieces(section.view(), pieces, dropout, work);
    }
  };
  work.count = 0;
  each_section(text, false, work, Sink{*this, dropout, work});
}

void TokenizerState::append_result(const TokenizerWorkspace& work, bool special,
                                   std::vector<Token>& ids) const {
  if (special) ids.insert(ids.end(), frame_.before.begin(), frame_.before.end());
  ids.insert(ids.end(), work.ids.begin(), work.ids.begin() + static_cast<std::ptrdiff_t>(work.count));
  if (special) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
}

void TokenizerState::encode_pieces(std::string_view text, const std::vector<Piece>& pieces,
                                   DropoutNumbers* dropout, TokenizerWorkspace& work) const {
  for (const Piece& piece : pieces)
    for (std::uint32_t at = piece.begin; at < piece.end;) {
      const std::size_t size = encoder_.part_of(text.substr(at, piece.end - at));
      encode_part(text, at, size, dropout, work);
      at += static_cast<std::uint32_t>(size);
    }
}

void TokenizerState::encode_part(std::string_view text, std::size_t at, std::size_t size,
                                 DropoutNumbers* dropout, TokenizerWorkspace& work) const {
  const char* begin = text.data() + at;
  if (size > WordCache::kShortWord || dropout) return encode_word({begin, size}, dropout, work);
  const auto key = WordCache::short_key(begin, size, at + 16 <= text.size());
  work.make_room(4);
  if (const auto* known = work.words.find(key)) {
    std::memcpy(work.ids.data() + work.count, known->ids, sizeof known->ids);
    work.count += known->count;
    return;
  }
  const std::size_t before = work.count;
  encode_word({begin, size}, dropout, work);
  work.words.put(key, {work.ids.data() + before, work.count - before});
}

void TokenizerState::encode_word(std::string_view word, DropoutNumbers* dropout,
                                 TokenizerWorkspace& work) const {
  const bool remembered = word.size() <= WordCache::kLongWord && !dropout;
  std::span<const Token> known;
  if (remembered && work.words.find(word, known)) {
    work.make_room(known.size());
    std::copy(known.begin(), known.end(), work.ids.begin() + static_cast<std::ptrdiff_t>(work.count));
    work.count += known.size();
    return;
  }
  const auto& symbols = encoder_.encode(word, work.model, dropout);
  work.make_room(symbols.size());
  const std::size_t before = work.count;
  for (const Symbol& s : symbols) work.ids[work.count++] = s.id;
  if (remembered && (word.size() > WordCache::kShortWord || symbols.size() > WordCache::kShortTokens))
    work.words.put(word, {work.ids.data() + before, symbols.size()});
}

void TokenizerState::encode_with_offsets(std::string_view text, TokenizerWorkspace& work,
                                         Encoding& encoding) const {
  check(text.size() < std::uint64_t{1} << 31, Code::size,
        "a text of {} bytes; at most {} can be encoded at once", text.size(), (std::uint64_t{1} << 31) - 1);
  if (const auto bad = takes_bytes_ ? std::nullopt : utf8_error(text))
    fail(Code::utf8, "byte {} of the text is not UTF-8; found 0x{:02X}", *bad,
         static_cast<unsigned char>(text[*bad]));
  struct Sink {
    const TokenizerState& state;
    TokenizerWorkspace& work;
    Encoding& encoding;
    void token(Token id, Offsets offsets) {
      encoding.ids.push_back(id);
      encoding.pieces.emplace_back(state.piece(id));
      encoding.offsets.push_back(offsets);
      encoding.special.push_back(false);
    }
    void section(AlignedText& section) {
      for (const Piece& piece : work.cutter.cut(state.parts_.pre_tokenizer, section)) {
        const std::string_view word = section.view().substr(piece.begin, piece.end - piece.begin);
        std::uint32_t at = piece.begin;
        for (const Symbol& s : state.encoder_.encode(word, work.model)) {
          if (s.size == 0) {  // one more of the bytes of an unknown piece
            token(s.id, encoding.offsets.back());
            continue;
          }
          // Affixes may have bytes of their own, which are none of the text's.
          const std::uint32_t begin = std::min(at, piece.end - 1);
          const std::uint32_t end = std::clamp(at + s.size, begin + 1, piece.end);
          token(s.id, section.source(begin, end));
          at += s.size;
        }
      }
    }
  };
  each_section(text, true, work, Sink{*this, work, encoding});
}

// ---- tokens

Token TokenizerState::find(std::string_view piece) const {
  const auto added = beyond_model_.find(std::string(piece));
  return added != beyond_model_.end() ? added->second : parts_.vocabulary().find(piece);
}

void TokenizerState::check_id(Token id) const {
  check(has(id), Code::tokenizer, "{}: there is no token {}; ids go from 0 to {}{}", parts_.origin, id,
        size() - 1, id >= 0 && id < size() ? ", with gaps" : "");
}

std::string_view TokenizerState::piece(Token id) const {
  const auto added = added_.find(id);
  return added != added_.end() ? std::string_view(added->second.piece) : parts_.vocabulary()[id];
}

bool TokenizerState::is_special(Token id) const {
  const auto added = added_.find(id);
  return added != added_.end() && added->second.special;
}

std::string TokenizerState::decode(std::span<const Token> ids, bool skip_special, bool exact) const {
  for (const Token id : ids) check_id(id);
  const auto kept = [&](Token id) { return !skip_special || !is_special(id); };
  if (!decoded_ends_.empty()) {
    std::string bytes;
    for (const Token id : ids)
      if (kept(id)) bytes.append(decoded_, decoded_ends_[id], decoded_ends_[id + 1] - decoded_ends_[id]);
    return exact || !utf8_error(bytes) ? bytes : utf8_repaired(bytes);
  }
  std::vector<std::string> pieces;
  for (const Token id : ids)
    if (kept(id)) pieces.emplace_back(piece(id));
  return glossa::decode(parts_.decoder, std::move(pieces), exact);
}

}  // namespace glossa
