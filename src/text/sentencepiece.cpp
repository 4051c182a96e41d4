#include "text/sentencepiece.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::size_t kPieceBytes = 1024;

// The fields of one message (protobuf's wire format): a number and a value each, one after the other.
class Fields {
 public:
  // `begin`: where the message begins in the file.
  Fields(std::string_view bytes, std::size_t begin, std::string_view origin)
      : bytes_(bytes), begin_(begin), origin_(origin) {}

  // Whether there is another field; it is the current one from here on.
  bool next() {
    if (at_ == bytes_.size()) return false;
    place_ = at_;
    const std::uint64_t key = varint();
    const std::uint64_t number = key >> 3;
    if (number == 0 || number >= 1u << 29) refuse("the number of a field is {}", number);
    number_ = static_cast<std::uint32_t>(number);
    wire_ = static_cast<int>(key & 7);
    switch (wire_) {
      case kVarint:
        value_ = varint();
        break;
      case kEight:
        value_ = 0, take(8);
        break;
      case kBytes:
        value_ = varint(), take(value_);
        break;
      case kFour:
        take(4);
        break;
      default:
        refuse("field {} has the wire type {}; known are 0, 1, 2 and 5", number, wire_);
    }
    return true;
  }
  std::uint32_t number() const { return number_; }

  std::string_view text() const { return expect(kBytes), content_; }
  Fields message() const {
    expect(kBytes);
    return {content_, begin_ + at_ - content_.size(), origin_};
  }
  std::uint64_t natural() const { return expect(kVarint), value_; }
  bool boolean() const { return natural() != 0; }
  double number32() const {
    expect(kFour);
    float f;
    std::memcpy(&f, content_.data(), 4);
    return f;
  }

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::tokenizer, "{}: byte {}: {}", origin_, begin_ + place_,
         fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  static constexpr int kVarint = 0, kEight = 1, kBytes = 2, kFour = 5;

  void expect(int wire) const {
    if (wire_ != wire) refuse("field {} has the wire type {}, wanted {}", number_, wire_, wire);
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at_ == bytes_.size()) refuse("a number that the message ends in");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      if (shift == 63 && byte > 1) refuse("a number of more than 64 bits");
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    refuse("a number of more than 10 bytes");
  }
  void take(std::uint64_t size) {
    if (size > bytes_.size() - at_)
      refuse("field {} has {} bytes, and the message has {} after it", number_, size, bytes_.size() - at_);
    content_ = bytes_.substr(at_, size);
    at_ += size;
  }

  std::string_view bytes_, content_;
  std::size_t begin_, at_ = 0, place_ = 0;
  std::string_view origin_;
  std::uint32_t number_ = 0;
  int wire_ = 0;
  std::uint64_t value_ = 0;
};

// Field numbers are those of sentencepiece_model.proto; what is not listed has no effect on encoding.
SentencePieceModel::Piece read_piece(Fields fields) {
  SentencePieceModel::Piece piece;
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        piece.text = fields.text();
        if (piece.text.empty()) fields.refuse("an empty piece is found everywhere and nowhere");
        if (piece.text.size() > kPieceBytes)
          fields.refuse("a piece of {} bytes, at most {} are allowed", piece.text.size(), kPieceBytes);
        if (utf8_error(piece.text)) fields.refuse("the piece {} is not UTF-8", quoted(piece.text));
        break;
      case 2:
        piece.score = fields.number32();
        if (!std::isfinite(piece.score)) fields.refuse("the score {}", piece.score);
        break;
      case 3:
        if (fields.natural() < 1 || fields.natural() > 6)
          fields.refuse("the kind {} of a piece; kinds are 1 to 6", fields.natural());
        piece.kind = static_cast<SentencePieceModel::Kind>(fields.natural());
        break;
      default:
        break;
    }
  }
  if (piece.text.empty()) fields.refuse("a piece without a text");
  return piece;
}

void read_trainer(Fields fields, SentencePieceModel& model) {
  while (fields.next()) {
    switch (fields.number()) {
      case 3:
        if (fields.natural() < 1 || fields.natural() > 4)
          fields.refuse("the type {} of a model; types are 1 (unigram) to 4 (characters)", fields.natural());
        model.type = static_cast<SentencePieceModel::Type>(fields.natural());
        break;
      case 24:
        model.treat_whitespace_as_suffix = fields.boolean();
        break;
      case 35:
        model.byte_fallback = fields.boolean();
        break;
      case 40:
        model.unk_id = static_cast<std::int32_t>(fields.natural());
        break;
      default:
        break;
    }
  }
}

void read_normalizer(Fields fields, SentencePieceModel& model) {
  while (fields.next()) {
    switch (fields.number()) {
      case 2:
        model.precompiled_charsmap = fields.text();
        break;
      case 3:
        model.add_dummy_prefix = fields.boolean();
        break;
      case 4:
        model.remove_extra_whitespaces = fields.boolean();
        break;
      case 5:
        model.escape_whitespaces = fields.boolean();
        break;
      default:
        break;
    }
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view bytes, std::string_view origin,
                                       const Limits& limits) {
  SentencePieceModel model;
  model.origin = origin;
  Fields fields(bytes, 0, model.origin);
  while (fields.next()) {
    switch (fields.number()) {
      case 1:
        check(model.pieces.size() < limits.vocabulary, Code::count, "{}: more than {} pieces", origin,
              limits.vocabulary);
        model.pieces.push_back(read_piece(fields.message()));
        break;
      case 2:
        read_trainer(fields.message(), model);
        break;
      case 3:
        read_normalizer(fields.message(), model);
        break;
      default:
        break;
    }
  }
  check(!model.pieces.empty(), Code::tokenizer, "{}: no pieces; a SentencePiece model has some", origin);
  check(model.unk_id >= 0 && model.unk_id < static_cast<std::int64_t>(model.pieces.size()), Code::tokenizer,
        "{}: trainer_spec.unk_id is {}, and pieces go from 0 to {}", origin, model.unk_id,
        model.pieces.size() - 1);
  return model;
}

}  // namespace glossa
