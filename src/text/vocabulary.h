// vocabulary.h -- pieces by id and ids by piece. Ids count from 0; some may have no piece.
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
  void reserve(std::size_t pieces);  // makes room for so many in all
  // The id of a piece that is new, or -1 if it is there already.
  Token add(std::string_view piece);
  // The next id for a piece that may be there already: find gives the last id of equal pieces.
  Token append(std::string_view piece);
  void skip();                               // leaves the next id without a piece
  Token find(std::string_view piece) const;  // -1 if it is not there
  bool has(Token id) const;
  // Of an id without a piece: nothing.
  std::string_view operator[](Token id) const {
    return std::string_view(bytes_).substr(ends_[id], ends_[id + 1] - ends_[id]);
  }
  Token size() const { return static_cast<Token>(ends_.size() - 1); }           // ids are less than this
  Token count() const { return size() - static_cast<Token>(skipped_.size()); }  // pieces

 private:
  std::size_t slot_of(std::string_view piece, std::uint64_t hash) const;  // where it is or would be
  void put(std::string_view piece, Token id);
  void resize_table(std::size_t slots);
  std::string bytes_;                // of all pieces, end to end
  std::vector<std::uint64_t> ends_;  // [size + 1] where the piece before ends
  std::vector<Token> skipped_;       // ids without a piece, from the least on
  // Open addressing, at most half full. What a slot has of its piece's hash, never 0, stands apart from the
  // ids: most questions are for what is not there, and a byte for each slot fits into the near caches.
  std::vector<std::uint8_t> tags_;  // 0: free
  std::vector<Token> ids_;
};

}  // namespace glossa
