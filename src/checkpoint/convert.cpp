#include "checkpoint/convert.h"

#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/convert_parts.h"
#include "checkpoint/llama2c_tokenizer.h"
#include "tensor/blocks.h"
#include "text/sentencepiece.h"

namespace glossa {
namespace {

constexpr std::uint64_t kTemplateBytes = 4 << 20;  // of a chat template; they have some KB

// Scores by pieces, of a SentencePiece model that tokenizer.json was made of.
std::map<std::string, float> scores_beside(const ModelSource& source) {
  std::map<std::string, float> scores;
  const fs::path path = source.directory() / "tokenizer.model";
  if (!source.is_hugging_face() || !source.own_tokenizer || !fs::exists(path)) return scores;
  const SentencePieceModel model = parse_sentencepiece(read_file(path), shown(path));
  if (model.type != SentencePieceModel::Type::bpe) return scores;
  for (const SentencePieceModel::Piece& piece : model.pieces)
    scores.emplace(piece.text, static_cast<float>(piece.score));
  return scores;
}

}  // namespace

Tensor as_type(const Tensor& tensor, DType type, const std::string& name, const fs::path& origin) {
  const auto refuse = [&](std::string_view what) {
    fail(Code::nonfinite, "{}: tensor {}: {}", shown(origin), quoted(name), what);
  };
  if (is_quantised(type)) {
    if (tensor.dtype() == type) {
      const Tensor dense = tensor.contiguous();
      if (nonfinite_block(type, dense.raw(), dense.elements()) >= 0)
        refuse("a scale of its blocks is not finite");
      return dense;
    }
    try {
      return tensor.to(type);
    } catch (const Error& e) {
      if (e.code() != Code::nonfinite) throw;
      refuse(e.what());
    }
  }
  const Tensor made = tensor.to(type).contiguous();
  const TensorStatistics s = statistics(made);
  if (s.nan + s.infinite == 0) return made;
  const TensorStatistics before = statistics(tensor.contiguous());
  if (before.nan + before.infinite > 0)
    refuse(fmt::format("{} of {} values are not finite, the first at index {}", before.nan + before.infinite,
                       before.elements, before.first_nonfinite));
  refuse(fmt::format("{} of {} values are too large for {}, the first at index {}; BF16 and F32 hold them",
                     s.infinite, s.elements, name_of(type), s.first_nonfinite));
  return made;
}

void count(Conversion& conversion, std::string_view type, const Tensor& tensor) {
  ++conversion.tensors;
  conversion.bytes += tensor.bytes();
  ++conversion.types[std::string(type)];
}

MadeGgufVocabulary vocabulary_to_write(const ModelToWrite& model) {
  MadeGgufVocabulary made = make_gguf_vocabulary(
      model.source.tokenizer, {.rows = model.plan.vocabulary, .scores = scores_beside(model.source)});
  if (const fs::path path = model.source.directory() / "chat_template.jinja";
      model.source.is_hugging_face() && fs::exists(path)) {
    made.chat_template = read_file(path, kTemplateBytes);
    check(!utf8_error(made.chat_template), Code::utf8, "{}: is not UTF-8", shown(path));
  }
  return made;
}

std::vector<fs::path> outputs_of(const fs::path& out, ModelFormat format) {
  if (format != ModelFormat::llama2c) return {out};
  return {out, llama2c_tokenizer_of(out)};
}

Conversion convert_model(const ModelSource& source, const fs::path& out, const ConvertOptions& options) {
  ModelToWrite model{source, plan_of(source), {}};
  model.config = Json(model.plan.config);
  Conversion conversion;
  conversion.notes = source.notes;
  conversion.notes.insert(conversion.notes.end(), model.plan.notes.begin(), model.plan.notes.end());
  switch (options.format) {
    case ModelFormat::gguf:
      write_gguf_model(model, out, options, conversion);
      break;
    case ModelFormat::llama2c:
      write_llama2c_model(model, out, options, conversion);
      break;
    case ModelFormat::directory:
    case ModelFormat::pytorch:
      write_directory(model, out, options, conversion);
      break;
  }
  return conversion;
}

}  // namespace glossa
