#include "text/post_process.h"

#include <algorithm>

#include "base/unicode.h"
#include "text/tokenizer.h"
#include "text/unicode_classes.h"

namespace glossa {
namespace {

using post_processor::Piece;

struct Around {  // the tokens that one step puts before and after
  std::vector<std::pair<std::string, Token>> before, after;
};

struct AroundOf {
  Around operator()(const post_processor::Template& step) const {
    Around around;
    bool text_seen = false;
    for (const Piece& piece : step.single) {
      if (piece.kind != Piece::Kind::special) {
        text_seen = true;
        continue;
      }
      const auto& special = step.special_tokens.at(piece.special);
      for (std::size_t i = 0; i < special.ids.size(); ++i)
        (text_seen ? around.after : around.before).emplace_back(special.tokens[i], special.ids[i]);
    }
    return around;
  }
  Around operator()(const post_processor::ByteLevel&) const { return {}; }
  Around operator()(const post_processor::Bert& step) const { return {{step.cls}, {step.sep}}; }
  Around operator()(const post_processor::Roberta& step) const { return {{step.cls}, {step.sep}}; }
};

std::uint32_t next_character(std::string_view text, std::uint32_t at) {
  return at + static_cast<std::uint32_t>(std::max<std::size_t>(1, utf8_length_at(text, at)));
}

std::uint32_t previous_character(std::string_view text, std::uint32_t at) {
  for (--at; at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;) --at;
  return at;
}

// Takes as many characters off the ends of each offset as the piece has spaces there.
void trim_offsets(std::string_view text, bool add_prefix_space, Encoding& encoding) {
  const auto is_space = [](char32_t c) { return c == 0x120 || (CharClasses::get()[c] & char_class::space); };
  for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
    std::uint32_t leading = 0, trailing = 0;
    bool only = true;
    const std::string& piece = encoding.pieces[i];
    for (std::size_t at = 0; at < piece.size();) {
      const bool space = is_space(utf8_next(piece, at));
      trailing = space ? trailing + 1 : 0;
      only = only && space;
      if (only) ++leading;
    }
    Offsets& o = encoding.offsets[i];
    const bool prefix = (i == 0 || o.begin == 0) && add_prefix_space && leading == 1;  // not of the text
    for (std::uint32_t k = 0; k < leading && !prefix && o.begin < o.end; ++k) o.begin = next_character(text, o.begin);
    std::uint32_t end = o.end;
    for (; trailing > 0 && end > 0; --trailing) end = previous_character(text, end);
    if (trailing == 0) o.end = std::max(end, o.begin);
  }
}

void surround(const Around& around, Encoding& encoding) {
  Encoding all;
  const auto put = [&](const std::vector<std::pair<std::string, Token>>& tokens) {
    for (const auto& [piece, id] : tokens) {
      all.ids.push_back(id);
      all.pieces.push_back(piece);
      all.offsets.push_back({});
      all.special.push_back(true);
    }
  };
  put(around.before);
  all.ids.insert(all.ids.end(), encoding.ids.begin(), encoding.ids.end());
  all.pieces.insert(all.pieces.end(), encoding.pieces.begin(), encoding.pieces.end());
  all.offsets.insert(all.offsets.end(), encoding.offsets.begin(), encoding.offsets.end());
  all.special.insert(all.special.end(), encoding.special.begin(), encoding.special.end());
  put(around.after);
  encoding = std::move(all);
}

}  // namespace

Frame frame_of(const PostProcessor& processor) {
  Frame frame;
  for (const auto& step : processor) {
    const Around around = std::visit(AroundOf{}, step);
    std::vector<Token> before;
    for (const auto& token : around.before) before.push_back(token.second);
    frame.before.insert(frame.before.begin(), before.begin(), before.end());
    for (const auto& token : around.after) frame.after.push_back(token.second);
  }
  return frame;
}

void post_process(const PostProcessor& processor, std::string_view text, bool special, Encoding& encoding) {
  for (const auto& step : processor) {
    if (const auto* byte_level = std::get_if<post_processor::ByteLevel>(&step);
        byte_level && byte_level->trim_offsets)
      trim_offsets(text, byte_level->add_prefix_space, encoding);
    if (const auto* roberta = std::get_if<post_processor::Roberta>(&step); roberta && roberta->trim_offsets)
      trim_offsets(text, roberta->add_prefix_space, encoding);
    if (special) surround(std::visit(AroundOf{}, step), encoding);
  }
}

}  // namespace glossa
