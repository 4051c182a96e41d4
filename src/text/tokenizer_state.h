// tokenizer_state.h -- a tokenizer made ready: its parts, and what encoding and decoding need beside them.
#pragma once
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "text/parts.h"
#include "text/tokenizer.h"
#include "text/word_cache.h"
#include "text/workspaces.h"

namespace glossa {

// Buffers and the word cache of one thread at work.
struct TokenizerWorkspace {
  AlignedText text, part;
  std::vector<FoundToken> found, found_normalized;
  PieceCutter cutter;
  Encoder::Scratch model;
  WordCache words;
  std::vector<Token> ids;  // [capacity]; the first `count` are the result
  std::size_t count = 0;

  void make_room(std::size_t more) {
    if (count + more > ids.size()) ids.resize(2 * (count + more));
  }
  void put(Token id) {
    make_room(1);
    ids[count++] = id;
  }
};

class TokenizerState {
 public:
  explicit TokenizerState(TokenizerParts parts);

  const TokenizerParts& parts() const { return parts_; }
  const Frame& frame() const { return frame_; }
  Token size() const { return size_; }
  bool takes_bytes() const { return takes_bytes_; }

  // The ids of a text, without those of the post-processor, in the workspace.
  void encode(std::string_view text, DropoutNumbers* dropout, TokenizerWorkspace& work) const;
  // Appends them to `ids`, if asked for between those of the post-processor.
  void append_result(const TokenizerWorkspace& work, bool special, std::vector<Token>& ids) const;
  void encode_with_offsets(std::string_view text, TokenizerWorkspace& work, Encoding& encoding) const;

  Token find(std::string_view piece) const;
  bool has(Token id) const { return added_.contains(id) || parts_.vocabulary().has(id); }
  std::string_view piece(Token id) const;  // as the decoder gets it
  bool is_special(Token id) const;
  void check_id(Token id) const;
  std::string decode(std::span<const Token> ids, bool skip_special, bool exact) const;

  using Lease = Workspaces<TokenizerWorkspace>::Lease;
  Lease lease() const { return Lease(workspaces_); }

 private:
  struct Added {
    std::string piece;  // as the decoder gets it: normalized if the token is
    bool special;
  };
  void check_ids_of_post_processor() const;
  template <class Sink>
  void each_section(std::string_view text, bool tracked, TokenizerWorkspace& work, Sink&& sink) const;
  void encode_pieces(std::string_view text, const std::vector<Piece>& pieces, DropoutNumbers* dropout,
                     TokenizerWorkspace& work) const;
  void encode_part(std::string_view text, std::size_t at, std::size_t size, DropoutNumbers* dropout,
                   TokenizerWorkspace& work) const;
  void encode_word(std::string_view word, DropoutNumbers* dropout, TokenizerWorkspace& work) const;

  TokenizerParts parts_;
  bool bytes_, takes_bytes_,
      tracks_;  // pieces are bytes; so may be texts; prepending asks where a piece begins
  Encoder encoder_;
  AddedTokenFinder finder_, normalized_finder_;
  std::unordered_map<Token, Added> added_;
  std::unordered_map<std::string, Token>
      beyond_model_;  // added tokens that the model's vocabulary does not have
  Token size_;        // more than all ids
  Frame frame_;
  // Where the only decoder is ByteLevel: the bytes of all tokens, end to end.
  std::string decoded_;
  std::vector<std::uint64_t> decoded_ends_;
  Workspaces<TokenizerWorkspace> workspaces_{[] { return std::make_unique<TokenizerWorkspace>(); }};
};

}  // namespace glossa
