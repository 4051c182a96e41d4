#include "text/make_gguf_vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "text/gguf_word_patterns.h"

namespace glossa {
namespace {

constexpr float kAddedScore = -1000, kUnusedScore = -10000;  // as llama.cpp's converter has them


// Where the known ways to cut texts differ.
constexpr std::string_view kTexts[] = {
    "",
    " ",
    "Hello, world! It's   what we'VE got: I'd say it'll do, won't it?",
    "  two spaces before,   three between, and four behind    ",
    "Numbers 1 22 333 4444 55555 1234567 3.14159 1,000,000 \u0663\u0664\u0665 x2 v10.2b",
    "for (int i = 0; i < 10; ++i) {\n\tsum += a[i] * 0x1F; // add\n}\n\n\n  return sum;\r\n\r\n\t\t\tend",
    "https://www.example.org/path/to?query=1&other=a%20b#part <|tag|> </s> [INST] {{name}}",
    "camelCase HTTPServer XMLHttpRequest snake_case_name CONSTANT_NAME MacDonald iPhone",
    "\u4ECA\u5929\u5929\u6C14\u5F88\u597D\uFF0C\u6211\u4EEC\u53BB\u516C\u56ED\u6563\u6B65\u5427\u3002\u4EF7"
    "\u683C\u662F100\u5143\uFF01",
    "\u6771\u4EAC\u306F\u65E5\u672C\u306E\u9996\u90FD\u3067\u3059\u3002\u30AB\u30BF\u30AB\u30CA\u3068\u3072"
    "\u3089\u304C\u306A",
    "\uC548\uB155\uD558\uC138\uC694 \uC138\uACC4! \u041F\u0440\u0438\u0432\u0435\u0442, \u043C\u0438\u0440! "
    "\u0393\u03B5\u03B9\u03AC \u03C3\u03BF\u03C5",
    "\u0645\u0631\u062D\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060C "
    "\u0928\u092E\u0938\u094D\u0924\u0947 \u0926\u0941\u0928\u093F\u092F\u093E "
    "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35",
    "caf\u00E9 cafe\u0301 \u00C5ngstro\u0308m na\u00EFve \u1E9E\u00DF \uFB01ne \u01C5 \u2126",
    "\U0001F600\U0001F468\u200D\U0001F469\u200D\U0001F467 \u2764\uFE0F \u2014 \u201Cquoted\u201D \u2018s "
    "\u2026 \u00A0nbsp\u3000wide",
    "!!! ??? ... --- === *** ///// \\\\ $$$ ^^ ~~ `` ++ <<>> |-| '' \"\" #1 @me a/b\n/c",
    "\n\n\n",
    "\t \n \t"};

class Maker {
 public:
  Maker(const Tokenizer& tokenizer, const GgufVocabularyOptions& options)
      : tokenizer_(tokenizer), parts_(tokenizer.parts()), options_(options) {}

  MadeGgufVocabulary make() {
    const auto* const bpe = std::get_if<BpeModel>(&parts_.model);
    check(bpe != nullptr, Code::tokenizer,
          "{}: GGUF files of this program's models have vocabularies of byte-pair encoding, and this is "
          "another model",
          parts_.origin);
    check(bpe->continuing_subword_prefix.value_or("").empty() && bpe->end_of_word_suffix.value_or("").empty(),
          Code::tokenizer, "{}: a GGUF file cannot hold affixes of pieces", parts_.origin);
    put_tokens(*bpe);
    if (gives_bytes(parts_.pre_tokenizer))
      put_byte_bpe(*bpe);
    else
      put_sentencepiece(*bpe);
    put_special();
    note_habits();
    compare();
    return std::move(made_);
  }

 private:
  void put_tokens(const BpeModel& bpe) {
    const std::int64_t rows = std::max<std::int64_t>(options_.rows, tokenizer_.size());
    for (std::int64_t id = 0; id < rows; ++id) {
      const bool known = id < bpe.vocabulary.size() && bpe.vocabulary.has(static_cast<Token>(id));
      made_.tokens.push_back(known ? std::string(bpe.vocabulary[static_cast<Token>(id)])
                                   : fmt::format("[PAD{}]", id));
      made_.token_types.push_back(known ? gguf_token_type::normal : gguf_token_type::unused);
    }
    if (bpe.unk_token)
      if (const Token unk = bpe.vocabulary.find(*bpe.unk_token); unk >= 0)
        made_.token_types[static_cast<std::size_t>(unk)] = gguf_token_type::unknown;
    for (const AddedToken& t : parts_.added_tokens) {
      made_.tokens[static_cast<std::size_t>(t.id)] = t.content;
      made_.token_types[static_cast<std::size_t>(t.id)] = t.special ? gguf_token_type::control : gguf_token_type::user_defined;
    }
  }

  void put_merges(const BpeModel& bpe) {
    for (const auto& [left, right] : bpe.merges)
      made_.merges.push_back(std::string(bpe.vocabulary[left]) + " " + std::string(bpe.vocabulary[right]));
  }

  void put_byte_bpe(const BpeModel& bpe) {
    made_.model = "gpt2";
    made_.pre = gguf_pre_of(parts_, kTexts);
    check(!made_.pre.empty(), Code::tokenizer,
          "{}: no kind of tokenizer.ggml.pre that is known cuts texts as this pre_tokenizer does",
          parts_.origin);
    put_merges(bpe);
  }

  // Spaces are marks, perhaps with one more in front; characters that are no pieces are bytes.
  bool has_marks() {
    bool marks = false, prefix = false;
    for (const normalizer::Step& step : parts_.normalizer) {
      const auto* replace = std::get_if<normalizer::Replace>(&step);
      const auto* pattern = replace ? std::get_if<std::string>(&replace->pattern) : nullptr;
      if (const auto* prepend = std::get_if<normalizer::Prepend>(&step); prepend && prepend->text == kWordMark)
        prefix = true;
      else if (pattern && *pattern == " " && replace->content == kWordMark)
        marks = true;
      else if (replace && !pattern)
        continue;  // of spaces too many; the comparison will tell
      else
        return false;
    }
    for (const pre_tokenizer::Step& step : parts_.pre_tokenizer) {
      const auto* metaspace = std::get_if<pre_tokenizer::Metaspace>(&step);
      const auto* split = std::get_if<pre_tokenizer::Split>(&step);
      if (metaspace && metaspace->replacement == kWordMark && !metaspace->split) {
        marks = true, prefix = metaspace->prepend_scheme != pre_tokenizer::Prepend::never;
      } else if (!split || !marks) {  // a split at spaces, of which none are left
        return false;
      }
    }
    prefix_ = prefix;
    return marks;
  }

  void put_sentencepiece(const BpeModel& bpe) {
    check(bpe.byte_fallback && has_marks(), Code::tokenizer,
          "{}: a GGUF file holds byte-level BPE, and BPE with byte_fallback and U+2581 for spaces; this "
          "tokenizer is neither",
          parts_.origin);
    made_.model = "llama";
    made_.pre = "default";
    made_.add_space_prefix = prefix_;
    if (std::any_of(parts_.normalizer.begin(), parts_.normalizer.end(), [](const normalizer::Step& step) {
          const auto* replace = std::get_if<normalizer::Replace>(&step);
          return replace && std::holds_alternative<Regex>(replace->pattern);
        }))
      made_.remove_extra_whitespaces = true;
    for (std::size_t id = 0; id < made_.tokens.size(); ++id) {
      const std::string& piece = made_.tokens[id];
      const bool byte = piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with(">");
      if (byte && made_.token_types[id] == gguf_token_type::normal) made_.token_types[id] = gguf_token_type::byte;
    }
    put_scores(bpe);
  }

  // The piece of the first merge has the highest score, and so on: what merges in the order of scores merges
  // in this order.
  void put_scores(const BpeModel& bpe) {
    std::vector<float> ranks(made_.tokens.size(), -static_cast<float>(bpe.merges.size()) - 1);
    for (std::size_t rank = bpe.merges.size(); rank-- > 0;) {
      const auto& [left, right] = bpe.merges[rank];
      const Token whole =
          bpe.vocabulary.find(std::string(bpe.vocabulary[left]) + std::string(bpe.vocabulary[right]));
      if (whole >= 0) ranks[static_cast<std::size_t>(whole)] = -static_cast<float>(rank);
    }
    for (std::size_t id = 0; id < made_.tokens.size(); ++id) {
      const std::int32_t type = made_.token_types[id];
      const auto known = options_.scores.find(made_.tokens[id]);
      made_.scores.push_back(type == gguf_token_type::unused                            ? kUnusedScore
                             : known != options_.scores.end()           ? known->second
                             : type == gguf_token_type::control || type == gguf_token_type::user_defined ? kAddedScore
                             : options_.scores.empty()                  ? ranks[id]
                                                                        : kAddedScore);
    }
  }

  std::optional<std::int64_t> id_of(const std::string& piece) const {
    const auto id = piece.empty() ? std::nullopt : tokenizer_.id(piece);
    return id ? std::optional<std::int64_t>(*id) : std::nullopt;
  }

  void put_special() {
    const SpecialTokens& s = parts_.special_tokens;
    made_.bos_token_id = id_of(s.bos), made_.eos_token_id = id_of(s.eos),
    made_.unknown_token_id = id_of(s.unk), made_.padding_token_id = id_of(s.pad);
    made_.chat_template = s.chat_template;
    const Frame frame = frame_of(parts_.post_processor);
    check(frame.before.size() <= 1 && frame.after.size() <= 1, Code::tokenizer,
          "{}: puts {} tokens before a text and {} behind it; a GGUF file can say one each", parts_.origin,
          frame.before.size(), frame.after.size());
    made_.add_bos_token = !frame.before.empty(), made_.add_eos_token = !frame.after.empty();
    if (made_.add_bos_token) made_.bos_token_id = frame.before[0];
    if (made_.add_eos_token) made_.eos_token_id = frame.after[0];
  }

  void note_habits() {
    std::string names;
    for (const AddedToken& t : parts_.added_tokens)
      if (t.lstrip || t.rstrip || t.single_word) names += (names.empty() ? "" : ", ") + quoted(t.content);
    if (!names.empty())
      made_.notes.push_back(
          fmt::format("{}: lstrip, rstrip and single_word are not kept of {}", parts_.origin, names));
  }

  void compare() const {
    const Tokenizer again(tokenizer_of_gguf(made_.view()));
    for (const std::string_view text : kTexts)
      check(tokenizer_.encode(text, true) == again.encode(text, true), Code::tokenizer,
            "{}: the vocabulary of a GGUF file ({}) would give other ids for {}", parts_.origin, made_.model,
            quoted(text, 60));
  }

  const Tokenizer& tokenizer_;
  const TokenizerParts& parts_;
  const GgufVocabularyOptions& options_;
  bool prefix_ = false;
  MadeGgufVocabulary made_;
};

}  // namespace

GgufVocabulary MadeGgufVocabulary::view() const {
  GgufVocabulary v;
  v.model = model, v.pre = pre;
  v.tokens.assign(tokens.begin(), tokens.end());
  v.merges.assign(merges.begin(), merges.end());
  v.scores = scores, v.token_types = token_types;
  v.bos_token_id = bos_token_id, v.eos_token_id = eos_token_id, v.unknown_token_id = unknown_token_id,
  v.padding_token_id = padding_token_id;
  v.add_bos_token = add_bos_token, v.add_eos_token = add_eos_token;
  v.add_space_prefix = add_space_prefix, v.remove_extra_whitespaces = remove_extra_whitespaces;
  v.chat_template = chat_template;
  return v;
}

MadeGgufVocabulary make_gguf_vocabulary(const Tokenizer& tokenizer, const GgufVocabularyOptions& options) {
  return Maker(tokenizer, options).make();
}

}  // namespace glossa
