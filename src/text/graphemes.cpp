#include "text/graphemes.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>

#include "base/unicode.h"
#include "text/char_set.h"

namespace glossa {
namespace {

// What the rules need to know of the characters before a place in a cluster.
class Cluster {
 public:
  explicit Cluster(char32_t first) { add(first, break_class(first)); }

  // Whether the cluster goes on with `c`; then it is added.
  bool takes(char32_t c) {
    const int next = break_class(c);
    if (!joins(c, next)) return false;
    add(c, next);
    return true;
  }

 private:
  static int break_class(char32_t c) {
    const auto linked = utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->boundclass;
    return library_break_of(c).value_or(linked);
  }

  bool joins(char32_t c, int next) const {
    if (last_ == UTF8PROC_BOUNDCLASS_CR) return next == UTF8PROC_BOUNDCLASS_LF;  // GB3
    const auto controls = [](int k) {
      return k >= UTF8PROC_BOUNDCLASS_CR && k <= UTF8PROC_BOUNDCLASS_CONTROL;
    };
    if (controls(last_) || controls(next)) return false;  // GB4, GB5
    switch (last_) {                                      // GB6 to GB8
      case UTF8PROC_BOUNDCLASS_L:
        if (next == UTF8PROC_BOUNDCLASS_L || next == UTF8PROC_BOUNDCLASS_V ||
            next == UTF8PROC_BOUNDCLASS_LV || next == UTF8PROC_BOUNDCLASS_LVT)
          return true;
        break;
      case UTF8PROC_BOUNDCLASS_LV:
      case UTF8PROC_BOUNDCLASS_V:
        if (next == UTF8PROC_BOUNDCLASS_V || next == UTF8PROC_BOUNDCLASS_T) return true;
        break;
      case UTF8PROC_BOUNDCLASS_LVT:
      case UTF8PROC_BOUNDCLASS_T:
        if (next == UTF8PROC_BOUNDCLASS_T) return true;
        break;
      default:
        break;
    }
    if (next == UTF8PROC_BOUNDCLASS_EXTEND || next == UTF8PROC_BOUNDCLASS_ZWJ ||
        next == UTF8PROC_BOUNDCLASS_SPACINGMARK)
      return true;                                                               // GB9, GB9a
    if (last_ == UTF8PROC_BOUNDCLASS_PREPEND) return true;                       // GB9b
    if (linked_ && is_conjunct_consonant(c)) return true;                        // GB9c
    if (picture_joined_ && is_picture(next)) return true;                        // GB11
    return next == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR && regions_ % 2 == 1;  // GB12, GB13
  }

  void add(char32_t c, int next) {
    const bool extends = next == UTF8PROC_BOUNDCLASS_EXTEND || next == UTF8PROC_BOUNDCLASS_ZWJ;
    picture_joined_ = picture_ && next == UTF8PROC_BOUNDCLASS_ZWJ;
    picture_ = is_picture(next) || (picture_ && next == UTF8PROC_BOUNDCLASS_EXTEND);
    if (is_conjunct_consonant(c)) {
      consonant_ = true, linked_ = false;
    } else if (is_conjunct_linker(c)) {
      linked_ = consonant_;
    } else if (!extends) {
      consonant_ = linked_ = false;
    }
    regions_ = next == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR ? regions_ + 1 : 0;
    last_ = next;
  }

  static bool is_picture(int k) {
    return k == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC || k == UTF8PROC_BOUNDCLASS_E_ZWG;
  }

  int last_ = UTF8PROC_BOUNDCLASS_START;
  bool picture_ = false, picture_joined_ = false;  // joined: a zero-width joiner followed
  bool consonant_ = false, linked_ = false;        // of Indic conjuncts
  int regions_ = 0;                                // halves of flags in a row
};

}  // namespace

std::size_t grapheme_end(std::string_view text, std::size_t at) {
  Cluster cluster(utf8_next(text, at));
  for (std::size_t next = at; at < text.size(); at = next)
    if (!cluster.takes(utf8_next(text, next))) break;
  return at;
}

}  // namespace glossa
