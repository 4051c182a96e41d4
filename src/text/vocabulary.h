// vocabulary.h -- pieces by id and ids by piece. Ids count from 0 without gaps.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

using Token = std::int32_t;  // the id of one

class Vocabulary {
 public:
  Vocabulary();
  // The id of a piece that is new, or -1 if it is there already.
  Token add(std::string_view piece);
  Token find(std::string_view piece) const;  // -1 if it is not there
  std::string_view operator[](Token id) const {
    return std::string_view(bytes_).substr(ends_[id], ends_[id + 1] - ends_[id]);
  }
  Token size() const { return static_cast<Token>(ends_.size() - 1); }

 private:
  void grow();
  std::string bytes_;                // of all pieces, end to end
  std::vector<std::uint64_t> ends_;  // [size + 1] where the piece before ends
  std::vector<Token> slots_;         // open addressing, at most half full; -1: free
};

}  // namespace glossa
