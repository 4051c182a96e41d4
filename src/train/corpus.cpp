#include "train/corpus.h"

#include <memory>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "data/reverse_digits.h"

namespace glossa {
namespace {

// Training, validation or test data: files, or pairs that are generated.
struct Source {
  const char* name;
  CorpusFiles files = {};
  std::optional<ReverseDigits> generated = {};

  bool of_files() const { return !files.file.empty() || !files.source.empty(); }
  bool present() const { return generated || of_files(); }
};

struct Sources {
  Source train{"training data"}, valid{"validation data"}, test{"test data"};
};

CorpusFiles files_of(const DataRecipe& d, const std::string& source, const std::string& target,
                     const std::vector<std::string>& file) {
  CorpusFiles files;
  files.source = source, files.target = target;
  if (!file.empty()) files.file = file.front();
  files.format = d.format == "tsv"     ? PairFormat::tsv
                 : d.format == "jsonl" ? PairFormat::jsonl
                                       : PairFormat::automatic;
  files.source_column = d.source_column, files.target_column = d.target_column;
  files.source_lang = d.source_lang, files.target_lang = d.target_lang;
  return files;
}

Sources sources_of(const Recipe& recipe) {
  const DataRecipe& d = recipe.data;
  Sources s;
  if (d.task == "reverse-digits") {
    ReverseDigits digits{.examples = static_cast<std::uint64_t>(d.generated_examples),
                         .max_digits = static_cast<std::uint64_t>(d.generated_max_digits),
                         .seed = static_cast<std::uint64_t>(recipe.train.seed)};
    s.train.generated = digits;
    digits.examples = static_cast<std::uint64_t>(d.generated_valid_examples);
    digits.part = 1, s.valid.generated = digits;
    digits.part = 2, s.test.generated = digits;
    return s;
  }
  s.train.files = files_of(d, d.train_source, d.train_target, d.train_file);
  s.valid.files = files_of(d, d.valid_source, d.valid_target, d.valid_file);
  s.test.files = files_of(d, d.test_source, d.test_target, {});
  return s;
}

// Calls f for each pair in order; those too long to be lines have no text.
void for_each_pair(const Source& source, const TextOptions& options,
                   const std::function<void(const Pair&)>& f) {
  Pair pair;
  if (source.generated) {
    const PairStream pairs = source.generated->pairs();
    while (pairs(pair)) f(pair);
  } else {
    PairReader reader(source.files, options);
    while (reader.next(pair)) f(pair);
  }
}

void check_readable(const Source& source, const TextOptions& options) {
  std::uint64_t pairs = 0;
  for_each_pair(source, options, [&](const Pair&) { ++pairs; });
  check(pairs > 0, Code::empty, "{}: no {}: 0 lines", source.files.names(), source.name);
}

TextPairs read_texts(const Source& source, const TextOptions& options) {
  TextPairs texts;
  for_each_pair(source, options, [&](const Pair& pair) {
    texts.source.emplace_back(pair.source);
    texts.target.emplace_back(pair.target);
  });
  return texts;
}

Tokenizer trained_tokenizer(const Recipe& recipe, const Source& train) {
  TokenizerTrainer trainer(tokenizer_training(recipe.tokenizer));
  constexpr std::size_t kTextsAtOnce = 1 << 14;
  std::vector<std::string> texts;
  const auto add = [&] {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    trainer.add(views);
    texts.clear();
  };
  for_each_pair(train, text_options(recipe.data), [&](const Pair& pair) {
    texts.emplace_back(pair.source), texts.emplace_back(pair.target);
    if (texts.size() >= kTextsAtOnce) add();
  });
  add();
  return trainer.train();
}

Preparation preparation(const Recipe& recipe, const Tokenizer& tokenizer, const Source& source) {
  Preparation how;
  how.name = source.name;
  how.encode = [tokenizer](std::string_view text, std::vector<std::int32_t>& ids) {
    tokenizer.encode(text, ids, false);
  };
  how.vocabulary = static_cast<std::uint64_t>(tokenizer.size());
  how.unknown = tokenizer.id(tokenizer.special_tokens().unk).value_or(-1);
  how.filter = {.min_length = recipe.data.min_length,
                .max_length = recipe.data.max_length,
                .max_length_ratio = recipe.data.max_length_ratio,
                .strict = recipe.data.strict};
  return how;
}

PreparedPairs prepare(const Recipe& recipe, const Tokenizer& tokenizer, const Source& source,
                      Preparation how) {
  if (!source.generated)
    return prepare_pairs(source.files, text_options(recipe.data), tokenizer.hash(), std::move(how));
  how.pairs = source.generated->pairs();
  how.identity = source.generated->identity() + tokenizer.hash();
  return prepare_pairs(how);
}

void report(const TaskOptions& options, const char* name, const PreparedPairs& pairs) {
  options.note(
      fmt::format("{}: {}{}", name, pairs.report.summary(), pairs.from_cache ? " (from the cache)" : ""));
  for (const std::string& warning : pairs.report.warnings())
    options.note(fmt::format("{}: {}", name, warning));
}

void compare_with_training(Corpus& corpus, const TaskOptions& options) {
  corpus.valid.report.overlap = count_overlap(corpus.train.data, corpus.valid.data);
  if (corpus.valid.report.overlap > 0)
    options.note(
        fmt::format("{} of {} validation pairs are also in the training data: scores on them say little",
                    corpus.valid.report.overlap, corpus.valid.data.size()));
  if (sides_look_swapped(corpus.train.data, corpus.valid.data))
    options.note("the validation data look as if source and target were exchanged");
}

}  // namespace

TextOptions text_options(const DataRecipe& d) {
  return {.invalid_utf8 = d.invalid_utf8 == "replace" ? InvalidUtf8::replace : InvalidUtf8::refuse,
          .pass_over_long_lines = !d.strict};
}

TokenizerTraining tokenizer_training(const TokenizerRecipe& r) {
  TokenizerTraining how;
  how.kind = r.type == "bpe"        ? TokenizerKind::bpe
             : r.type == "byte_bpe" ? TokenizerKind::byte_bpe
             : r.type == "chars"    ? TokenizerKind::chars
                                    : TokenizerKind::words;
  how.vocab_size = r.vocab_size;
  how.min_frequency = r.min_frequency;
  how.lowercase = r.lowercase;
  if (r.normalization == "none") how.normalization.reset();
  if (r.normalization == "nfkc") how.normalization = Normalization::nfkc;
  return how;
}

std::string Corpus::digest() const {
  std::uint64_t digest = train.data.size();
  for (std::uint64_t i = 0; i < train.data.size(); ++i)
    digest = (digest << 5 | digest >> 59) * 0x9E3779B97F4A7C15u ^ train.data.hash(i);
  return fmt::format("{:016x}", digest);
}

Corpus read_corpus(const Recipe& recipe, const TaskOptions& options) {
  Sources sources = sources_of(recipe);
  const TextOptions text = text_options(recipe.data);
  const fs::path& cache = options.cache;
  if (!cache.empty()) make_directories(cache);
  const auto piped = [](const fs::path& path) { return path == "-"; };
  for (const Source* source : {&sources.valid, &sources.test})
    for (const fs::path& path : source->files.paths())
      check(!piped(path), Code::recipe, "recipe: standard input can only be training data, not {}",
            source->name);
  check(!piped(sources.train.files.source) || !piped(sources.train.files.target), Code::recipe,
        "recipe: standard input cannot be both data.train_source and data.train_target");
  for (fs::path* path : {&sources.train.files.source, &sources.train.files.target, &sources.train.files.file})
    keep_pipe(*path, options);
  const fs::path ready = !options.checkpoint.empty() ? options.checkpoint : fs::path(recipe.tokenizer.file);
  // What is wrong with any of the files shows before all work. (With a tokenizer, that of the training data
  // is their encoding, for which the cache of an earlier run may serve.)
  for (const Source* source : {&sources.valid, &sources.test, &sources.train})
    if (source->of_files() && (source != &sources.train || ready.empty())) check_readable(*source, text);
  Corpus corpus{
      .tokenizer = ready.empty() ? trained_tokenizer(recipe, sources.train) : Tokenizer::load(ready),
      .train = {},
      .valid = {},
      .valid_texts = {},
      .test = {}};

  Preparation how = preparation(recipe, corpus.tokenizer, sources.train);
  how.keep_text = recipe.tokenizer.dropout > 0;
  if (!cache.empty()) how.cache = cache / "train.pairs";
  corpus.train = prepare(recipe, corpus.tokenizer, sources.train, std::move(how));
  report(options, sources.train.name, corpus.train);

  if (sources.valid.present()) {
    how = preparation(recipe, corpus.tokenizer, sources.valid);
    how.keep_text = true;
    corpus.valid = prepare(recipe, corpus.tokenizer, sources.valid, std::move(how));
    report(options, sources.valid.name, corpus.valid);
    for (std::uint64_t i = 0; i < corpus.valid.data.size(); ++i) {
      corpus.valid_texts.source.emplace_back(corpus.valid.data.source_text(i));
      corpus.valid_texts.target.emplace_back(corpus.valid.data.target_text(i));
    }
    compare_with_training(corpus, options);
  }
  if (sources.test.present()) corpus.test = read_texts(sources.test, text);
  return corpus;
}

TransformerConfig model_config(const Recipe& recipe, const Tokenizer& tokenizer) {
  const ModelRecipe& m = recipe.model;
  TransformerConfig c;
  const bool before = m.normalize == "before", learned = m.position_embeddings == "learned";
  c.model_type = before ? (learned ? "mbart" : "m2m_100") : (learned ? "bart" : "marian");
  c.vocab_size = tokenizer.size();
  c.d_model = m.d_model;
  c.encoder_layers = m.encoder_layers, c.decoder_layers = m.decoder_layers;
  c.encoder_attention_heads = m.encoder_attention_heads,
  c.decoder_attention_heads = m.decoder_attention_heads;
  c.encoder_ffn_dim = m.encoder_ffn_dim, c.decoder_ffn_dim = m.decoder_ffn_dim;
  c.activation_function = unary_from_name(m.activation_function, "recipe");
  c.dropout = m.dropout, c.attention_dropout = m.attention_dropout,
  c.activation_dropout = m.activation_dropout;
  c.max_position_embeddings = m.max_position_embeddings;
  c.scale_embedding = m.scale_embedding;
  c.share_encoder_decoder_embeddings = m.share_encoder_decoder_embeddings;
  c.tie_word_embeddings = m.tie_word_embeddings;
  const auto id = [&](const std::string& piece, const char* role) {
    const std::optional<Token> found = piece.empty() ? std::nullopt : tokenizer.id(piece);
    check(found.has_value(), Code::tokenizer, "the tokenizer has no token {}; {} is needed for translation",
          role, role);
    return std::int64_t{*found};
  };
  c.eos_token_id = id(tokenizer.special_tokens().eos, "eos_token");
  c.pad_token_id = id(tokenizer.special_tokens().pad, "pad_token");
  // As the families have it. (M2M-100 gives padding no position, so there the start must be another token.)
  c.decoder_start_token_id = c.model_type == "marian" ? c.pad_token_id : c.eos_token_id;
  c.validate("recipe");
  return c;
}

void keep_pipe(fs::path& path, const TaskOptions& options) {
  if (path != "-") return;
  check(!options.cache.empty(), Code::usage,
        "training data from standard input need an output directory to be kept in");
  const fs::path kept = options.cache / "standard-input";
  if (!options.resume || !fs::exists(kept)) keep_standard_input(kept);
  path = kept;
}

BatchOptions batch_options(const Recipe& recipe) {
  return {.max_tokens = recipe.train.max_tokens, .seed = static_cast<std::uint64_t>(recipe.train.seed)};
}

SentenceEnds sentence_ends(const TransformerConfig& config) {
  return {.start = static_cast<std::int32_t>(config.decoder_start_token_id),
          .end = static_cast<std::int32_t>(config.eos_token_id)};
}

}  // namespace glossa
