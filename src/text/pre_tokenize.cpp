#include "text/pre_tokenize.h"

#include <algorithm>

#include "base/unicode.h"
#include "text/byte_level.h"
#include "text/char_set.h"
#include "text/unicode_classes.h"

namespace glossa {

using pre_tokenizer::Behavior;

bool gives_bytes(const PreTokenizer& steps) {
  return !steps.empty() && std::holds_alternative<pre_tokenizer::ByteLevel>(steps.back());
}

// Appends the pieces that a behavior makes of the matches of one piece, some of which may be of nothing.
void PieceCutter::apply(const std::vector<Match>& matches, Behavior behavior) {
  const auto first_new = static_cast<std::ptrdiff_t>(next_.size());
  const auto join_runs = [&](auto&& joins) {
    const std::size_t first = next_.size();
    bool previous = false;
    for (const Match& m : matches) {
      if (joins(m.found, previous) && next_.size() > first) {
        next_.back().end = m.end;
      } else {
        next_.push_back({m.begin, m.end});
      }
      previous = m.found;
    }
  };
  switch (behavior) {
    case Behavior::removed:
      for (const Match& m : matches)
        if (!m.found) next_.push_back({m.begin, m.end});
      break;
    case Behavior::isolated:
      for (const Match& m : matches) next_.push_back({m.begin, m.end});
      break;
    case Behavior::contiguous:
      join_runs([](bool found, bool previous) { return found == previous; });
      break;
    case Behavior::merged_with_previous:
      join_runs([](bool found, bool previous) { return found && !previous; });
      break;
    case Behavior::merged_with_next:
      // The last of a run of delimiters joins what follows.
      for (std::size_t i = 0; i < matches.size(); ++i) {
        Piece piece{matches[i].begin, matches[i].end};
        if (matches[i].found && i + 1 < matches.size() && !matches[i + 1].found) piece.end = matches[++i].end;
        next_.push_back(piece);
      }
      break;
  }
  next_.erase(
      std::remove_if(next_.begin() + first_new, next_.end(), [](const Piece& p) { return p.begin == p.end; }),
      next_.end());
}

// Cuts each piece at the characters for which is_delimiter(classes, c) holds, each a match of its own.
template <class F>
void PieceCutter::at_characters(Behavior behavior, F&& is_delimiter) {
  const CharClasses& of = CharClasses::get();
  const std::string_view view = text_->view();
  for (const Piece& piece : pieces_) {
    matches_.clear();
    std::uint32_t begin = piece.begin;
    for (std::size_t at = piece.begin; at < piece.end;) {
      const auto here = static_cast<std::uint32_t>(at);
      const char32_t c = utf8_next(view, at);
      if (!is_delimiter(of[c], c)) continue;
      if (here > begin) matches_.push_back({begin, here, false});
      begin = static_cast<std::uint32_t>(at);
      matches_.push_back({here, begin, true});
    }
    if (begin < piece.end) matches_.push_back({begin, piece.end, false});
    apply(matches_, behavior);
  }
  pieces_.swap(next_);
}

struct CutStep {
  PieceCutter& cutter;
  bool last;  // of the steps

  void operator()(const pre_tokenizer::ByteLevel& step) const {
    if (step.add_prefix_space) prefix_spaces();
    if (step.use_regex) {
      for (const Piece& piece : cutter.pieces_)
        cut_words(WordPattern::gpt2, view(piece), piece.begin, cutter.next_);
      take();
    }
    if (!last) name_bytes();
  }

  // Replaces, prepends and cuts in one pass.
  void operator()(const pre_tokenizer::Metaspace& step) const {
    const std::string_view text = cutter.text_->view();
    const std::string& mark = step.replacement;
    Rewrite rewrite(*cutter.text_);
    for (const Piece& piece : cutter.pieces_) {
      std::uint32_t begin = rewrite.size();
      const auto cut_here = [&] {
        if (step.split && rewrite.size() > begin)
          cutter.next_.push_back({begin, rewrite.size()}), begin = rewrite.size();
      };
      const auto is_mark = [&](std::uint32_t at) {
        return text[at] == mark[0] &&
               text.substr(at, std::min<std::size_t>(mark.size(), piece.end - at)) == mark;
      };
      if (text[piece.begin] != ' ' && !is_mark(piece.begin) && prepends(step, piece)) {
        rewrite.put(mark, piece.begin, first_character(piece));
      }
      for (std::uint32_t at = piece.begin; at < piece.end;) {
        if (text[at] == ' ') {
          cut_here();
          rewrite.put(mark, at, at + 1);
          ++at;
          continue;
        }
        std::uint32_t end = at;
        if (is_mark(at)) {
          cut_here();
          end = at + static_cast<std::uint32_t>(mark.size());
        }
        while (end < piece.end && text[end] != ' ' && !is_mark(end)) ++end;
        rewrite.keep(at, end);
        at = end;
      }
      cutter.next_.push_back({begin, rewrite.size()});
    }
    rewrite.finish();
    take();
  }

  void operator()(const pre_tokenizer::Whitespace&) const {
    const CharClasses& of = CharClasses::get();
    const std::string_view text = cutter.text_->view();
    for (const Piece& piece : cutter.pieces_) {
      std::uint16_t previous = char_class::space;
      for (std::size_t at = piece.begin; at < piece.end;) {
        const auto here = static_cast<std::uint32_t>(at);
        const std::uint16_t kind = of[utf8_next(text, at)] & (char_class::word | char_class::space);
        const auto end = static_cast<std::uint32_t>(at);
        if (kind & char_class::space) {
        } else if (kind == previous) {
          cutter.next_.back().end = end;
        } else {
          cutter.next_.push_back({here, end});
        }
        previous = kind;
      }
    }
    take();
  }

  void operator()(const pre_tokenizer::WhitespaceSplit&) const {
    at_characters(Behavior::removed, [](std::uint16_t k, char32_t) { return k & char_class::space; });
  }
  void operator()(const pre_tokenizer::Punctuation& step) const {
    at_characters(step.behavior, [](std::uint16_t k, char32_t) { return k & char_class::punctuation; });
  }
  void operator()(const pre_tokenizer::Digits& step) const {
    at_characters(step.individual_digits ? Behavior::isolated : Behavior::contiguous,
                  [](std::uint16_t k, char32_t) { return k & char_class::numeric; });
  }
  void operator()(const pre_tokenizer::Bert&) const {
    at_characters(Behavior::removed, [](std::uint16_t k, char32_t) { return k & char_class::space; });
    at_characters(Behavior::isolated, [](std::uint16_t k, char32_t) { return k & char_class::punctuation; });
  }
  void operator()(const pre_tokenizer::CharDelimiterSplit& step) const {
    std::size_t at = 0;
    const char32_t delimiter = utf8_next(step.delimiter, at);
    at_characters(Behavior::removed, [&](std::uint16_t, char32_t c) { return c == delimiter; });
  }

  void operator()(const pre_tokenizer::Split& step) const {
    for (const Piece& piece : cutter.pieces_) {
      auto& matches = cutter.matches_;
      matches.clear();
      if (const auto* pattern = std::get_if<WordPattern>(&step.pattern)) {
        cutter.words_.clear();
        cut_words(*pattern, view(piece), piece.begin, cutter.words_);
        for (const Piece& word : cutter.words_) matches.push_back({word.begin, word.end, !step.invert});
      } else {
        const auto* regex = std::get_if<Regex>(&step.pattern);
        regex ? regex->find_all(view(piece), cutter.found_)
              : find_text(view(piece), std::get<std::string>(step.pattern), cutter.found_);
        put_matches(piece, step.invert);
      }
      cutter.apply(matches, step.behavior);
    }
    take();
  }

  // As the library has it, what stands before the first character of some script is lost.
  void operator()(const pre_tokenizer::UnicodeScripts&) const {
    const std::string_view text = cutter.text_->view();
    for (const Piece& piece : cutter.pieces_) {
      int last = -1;
      for (std::size_t at = piece.begin; at < piece.end;) {
        const auto here = static_cast<std::uint32_t>(at);
        const int script = library_script_of(utf8_next(text, at));
        if (script >= 0 && script != last) cutter.next_.push_back({here, here}), last = script;
        if (last >= 0) cutter.next_.back().end = static_cast<std::uint32_t>(at);
      }
    }
    take();
  }

  void operator()(const pre_tokenizer::FixedLength& step) const {
    const std::string_view text = cutter.text_->view();
    for (const Piece& piece : cutter.pieces_)
      for (std::size_t at = piece.begin; at < piece.end;) {
        const auto here = static_cast<std::uint32_t>(at);
        for (std::int64_t i = 0; i < step.length && at < piece.end; ++i) utf8_next(text, at);
        cutter.next_.push_back({here, static_cast<std::uint32_t>(at)});
      }
    take();
  }

 private:
  std::string_view view(const Piece& piece) const {
    return cutter.text_->view().substr(piece.begin, piece.end - piece.begin);
  }
  void take() const {
    cutter.pieces_.swap(cutter.next_);
    cutter.next_.clear();
  }
  template <class F>
  void at_characters(Behavior behavior, F&& is_delimiter) const {
    cutter.at_characters(behavior, is_delimiter);
    cutter.next_.clear();
  }

  std::uint32_t first_character(const Piece& piece) const {
    std::size_t at = piece.begin;
    utf8_next(cutter.text_->view(), at);
    return static_cast<std::uint32_t>(at);
  }

  bool prepends(const pre_tokenizer::Metaspace& step, const Piece& piece) const {
    if (step.prepend_scheme == pre_tokenizer::Prepend::first)
      return cutter.text_->source(piece.begin, piece.begin + 1).begin == 0;
    return step.prepend_scheme == pre_tokenizer::Prepend::always;
  }

  // What was found in a piece, and what lies between.
  void put_matches(const Piece& piece, bool invert) const {
    std::uint32_t at = piece.begin;
    for (const Regex::Match& m : cutter.found_) {
      const std::uint32_t begin = piece.begin + m.begin, end = piece.begin + m.end;
      if (begin > at) cutter.matches_.push_back({at, begin, invert});
      cutter.matches_.push_back({begin, end, !invert});
      at = end;
    }
    if (at < piece.end) cutter.matches_.push_back({at, piece.end, invert});
  }

  void prefix_spaces() const {
    const std::string_view text = cutter.text_->view();
    const auto begins_with_space = [&](const Piece& piece) { return text[piece.begin] == ' '; };
    if (std::all_of(cutter.pieces_.begin(), cutter.pieces_.end(), begins_with_space)) return;
    Rewrite rewrite(*cutter.text_);
    for (const Piece& piece : cutter.pieces_) {
      const std::uint32_t begin = rewrite.size();
      if (!begins_with_space(piece)) {
        std::uint32_t first = piece.begin + 1;
        while (first < piece.end && (static_cast<unsigned char>(text[first]) & 0xC0) == 0x80) ++first;
        rewrite.put(" ", piece.begin, first);
      }
      rewrite.keep(piece.begin, piece.end);
      cutter.next_.push_back({begin, rewrite.size()});
    }
    rewrite.finish();
    take();
  }

  void name_bytes() const {
    const std::string_view text = cutter.text_->view();
    Rewrite rewrite(*cutter.text_);
    for (const Piece& piece : cutter.pieces_) {
      const std::uint32_t begin = rewrite.size();
      for (std::uint32_t at = piece.begin; at < piece.end; ++at)
        rewrite.put(byte_names()[static_cast<unsigned char>(text[at])], at, at + 1);
      cutter.next_.push_back({begin, rewrite.size()});
    }
    rewrite.finish();
    take();
  }
};

const std::vector<Piece>& PieceCutter::cut(const PreTokenizer& pre_tokenizer, AlignedText& text) {
  text_ = &text;
  pieces_.clear();
  next_.clear();
  if (!text.view().empty()) pieces_.push_back({0, static_cast<std::uint32_t>(text.view().size())});
  for (std::size_t i = 0; i < pre_tokenizer.size(); ++i)
    std::visit(CutStep{*this, i + 1 == pre_tokenizer.size()}, pre_tokenizer[i]);
  return pieces_;
}

}  // namespace glossa
