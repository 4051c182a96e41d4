#include "train/text_corpus.h"

#include <algorithm>

#include "base/error.h"
#include "train/corpus.h"

namespace glossa {
namespace {

constexpr const char* kEndOfText = "<|endoftext|>";

struct Files {
  DocumentFiles train, valid;  // valid: without paths if there are none
};

DocumentFiles files_of(const DataRecipe& d, const std::vector<std::string>& words) {
  DocumentFiles files{.paths = expand_files(words), .text_column = d.text_column};
  if (d.format != "auto") files.format = d.format == "jsonl" ? DocumentFormat::jsonl : DocumentFormat::text;
  if (d.documents != "file")
    files.documents = d.documents == "line" ? DocumentRule::line : DocumentRule::blank_line;
  return files;
}

void note_repeated(const DocumentFiles& files, const TaskOptions& options) {
  std::vector<fs::path> sorted;
  std::error_code ignored;
  for (const fs::path& path : files.paths) sorted.push_back(fs::weakly_canonical(path, ignored));
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end())
    options.note(fmt::format("{} is there more than once among the training data", shown(*twice)));
}

Files split_files(const Recipe& recipe, const TaskOptions& options) {
  const DataRecipe& d = recipe.data;
  Files files{.train = files_of(d, d.train_file), .valid = files_of(d, d.valid_file)};
  check(std::find(files.valid.paths.begin(), files.valid.paths.end(), "-") == files.valid.paths.end(),
        Code::recipe, "recipe: standard input can only be training data, not validation data");
  check(std::count(files.train.paths.begin(), files.train.paths.end(), "-") <= 1, Code::recipe,
        "recipe: data.train_file has standard input (-) more than once");
  for (fs::path& path : files.train.paths) keep_pipe(path, options);
  note_repeated(files.train, options);
  // All files are read before anything else is done: what is wrong with them shows at once.
  const auto bytes_of = [&](const DocumentFiles& from, const char* noted) {
    return text_bytes(from, text_options(d), options.cache.empty() ? fs::path() : options.cache / noted);
  };
  if (!files.valid.paths.empty()) bytes_of(files.valid, "valid.bytes");
  const std::uint64_t bytes = bytes_of(files.train, "train.bytes");
  if (d.validation_split_percentage > 0) {
    files.valid = files.train;
    files.train.end = files.valid.begin =
        static_cast<std::uint64_t>(static_cast<double>(bytes) * (1 - d.validation_split_percentage / 100));
  }
  return files;
}

Tokenizer trained_tokenizer(const Recipe& recipe, const DocumentFiles& files) {
  TokenizerTraining how = tokenizer_training(recipe.tokenizer);
  const bool bytes = how.kind == TokenizerKind::byte_bpe;
  how.keep_white_space = true;
  how.first_pieces = {kEndOfText};
  how.special_tokens = {.bos = kEndOfText, .eos = kEndOfText};
  if (!bytes) how.special_tokens.unk = "<unk>", how.first_pieces.emplace_back("<unk>");
  how.append_eos = false;
  TokenizerTrainer trainer(how);
  std::vector<std::string> texts;
  std::size_t size = 0;
  const auto add = [&] {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    trainer.add(views);
    texts.clear(), size = 0;
  };
  DocumentReader reader(files, text_options(recipe.data));
  for (DocumentPart part; reader.next(part);) {
    texts.emplace_back(part.text);
    if (size += part.text.size(); size >= 2 * kPartBytes) add();
  }
  add();
  return trainer.train();
}

Tokenizer tokenizer_of(const Recipe& recipe, const TaskOptions& options, const DocumentFiles& files) {
  if (!options.checkpoint.empty()) return Tokenizer::load(options.checkpoint);
  if (!recipe.tokenizer.file.empty()) return Tokenizer::load(recipe.tokenizer.file);
  return trained_tokenizer(recipe, files);
}

}  // namespace

TextCorpus read_text_corpus(const Recipe& recipe, const TaskOptions& options,
                            std::optional<Tokenizer> tokenizer) {
  if (!options.cache.empty()) make_directories(options.cache);
  Files files = split_files(recipe, options);
  TextCorpus corpus{
      .tokenizer = tokenizer ? std::move(*tokenizer) : tokenizer_of(recipe, options, files.train),
      .train = {}};
  const SpecialTokens& special = corpus.tokenizer.special_tokens();
  const auto id = [&](const std::string& piece) {
    return piece.empty() ? -1 : corpus.tokenizer.id(piece).value_or(-1);
  };
  corpus.end = id(special.eos);
  corpus.begin = id(special.bos) >= 0 ? id(special.bos) : corpus.end;

  DocumentPreparation how;
  how.text = text_options(recipe.data);
  how.encode = [t = corpus.tokenizer](std::string_view text, std::vector<std::int32_t>& ids) {
    t.encode(text, ids, false);
  };
  how.vocabulary = static_cast<std::uint64_t>(corpus.tokenizer.size());
  how.unknown = id(special.unk) == corpus.end ? -1 : id(special.unk);
  how.begin = corpus.begin;
  how.tokenizer_hash = corpus.tokenizer.hash();
  const auto prepared = [&](const char* name, const DocumentFiles& from, const char* cache) {
    how.files = from;
    how.cache = options.cache.empty() ? fs::path() : options.cache / cache;
    PreparedTokens tokens = prepare_documents(how);
    options.note(
        fmt::format("{}: {}{}", name, tokens.report.summary(), tokens.from_cache ? " (from the cache)" : ""));
    for (const std::string& warning : tokens.report.warnings())
      options.note(fmt::format("{}: {}", name, warning));
    return tokens;
  };
  corpus.train = prepared("training data", files.train, "train.tokens");
  check(corpus.train.data.size() >= static_cast<std::uint64_t>(recipe.train.max_tokens), Code::text_data,
        "{}: {} tokens to train on, and a batch has {} (train.max_tokens)", files.train.names(),
        corpus.train.data.size(), recipe.train.max_tokens);
  if (files.valid.paths.empty()) return corpus;
  corpus.valid = prepared("validation data", files.valid, "valid.tokens");
  if (const std::uint64_t both = count_overlap(corpus.train.data, corpus.valid->data); both > 0)
    options.note(
        fmt::format("{} of {} validation documents are also in the training data: losses on them say little",
                    both, corpus.valid->data.documents()));
  return corpus;
}

BlockOptions block_options(const Recipe& recipe, const TextCorpus& corpus) {
  return {.block_size = recipe.data.block_size,
          .max_tokens = recipe.train.max_tokens,
          .seed = static_cast<std::uint64_t>(recipe.train.seed),
          .end = corpus.end};
}

}  // namespace glossa
