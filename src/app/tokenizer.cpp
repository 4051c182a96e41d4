// tokenizer.cpp -- `glossa tokenizer`: train a vocabulary, text to ids, ids to text.
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/values.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "checkpoint/model_source.h"
#include "data/line_reader.h"
#include "hub/cache.h"
#include "text/tokenizer.h"
#include "text/train_tokenizer.h"

namespace glossa::app {
namespace {

// ---- lines in, lines out

constexpr std::size_t kBatchLines = 4096, kBatchBytes = 1 << 20;
constexpr std::int64_t kGrain = 32;  // lines for one task

struct LineInput {
  std::string path = "-";
  bool replace_invalid = false;
  bool json_lines = false;  // texts are JSON strings

  LineReader open() const {
    TextOptions options;
    if (replace_invalid) options.invalid_utf8 = InvalidUtf8::replace;
    return LineReader::open(path, options);
  }
  // Whether the next line will not come at once: then what is ready goes out first.
  bool waits() const {
    if (path != "-") return false;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, 0) == 0;
  }
};

void add_input_options(CLI::App& command, LineInput& input) {
  command.add_option("-i,--input", input.path, "Text, plain or as .gz or .zst; - is standard input")
      ->type_name("FILE")
      ->capture_default_str();
  command.add_flag("--replace-invalid", input.replace_invalid,
                   "U+FFFD in the place of bytes that are not UTF-8");
}

void add_json_lines_option(CLI::App& command, LineInput& input) {
  command.add_flag("--json-lines", input.json_lines,
                   "Each text is a JSON string, such as \"two\\nlines\", and may have line ends");
}

// The text of a line of input; `parsed` holds it where it is JSON.
std::string_view text_of(const LineInput& input, std::string_view line, std::uint64_t number,
                         std::string& parsed) {
  if (!input.json_lines) return line;
  const std::string place =
      fmt::format("{}: line {}", input.path == "-" ? "standard input" : shown(input.path), number);
  const Json json = parse_json(line, place);
  check(json.is_string(), Code::text_data, "{}: found {}, wanted a JSON string", place, quoted(line));
  return parsed = json.get<std::string>();
}

// Lines end to end, so that reading one allocates nothing.
struct Lines {
  std::string text;
  std::vector<std::size_t> ends;

  void clear() { text.clear(), ends.clear(); }
  void add(std::string_view line) { text += line, ends.push_back(text.size()); }
  std::string_view operator[](std::size_t i) const {
    const std::size_t begin = i > 0 ? ends[i - 1] : 0;
    return std::string_view(text).substr(begin, ends[i] - begin);
  }
};

// Appends to its third argument what becomes of a line, given with its number.
using Convert = std::function<void(std::string_view, std::uint64_t, std::string&)>;

// Writes what becomes of each line, in order, on all threads.
void convert_lines(const LineInput& input, const Convert& convert) {
  LineReader reader = input.open();
  StandardOutput out;
  Lines lines;
  std::vector<std::string> results;  // of kGrain lines each
  for (bool more = true; more;) {
    lines.clear();
    const std::uint64_t first = reader.line_number() + 1;
    for (LineReader::Line line; lines.ends.size() < kBatchLines && lines.text.size() < kBatchBytes;) {
      if (!lines.ends.empty() && input.waits()) break;
      if (!(more = reader.next(line))) break;
      lines.add(line.text);
    }
    const auto count = static_cast<std::int64_t>(lines.ends.size());
    results.resize(static_cast<std::size_t>((count + kGrain - 1) / kGrain));
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::string& result = results[static_cast<std::size_t>(begin / kGrain)];
      result.clear();
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        convert(lines[i], first + i, result);
        result += '\n';
      }
    });
    for (const std::string& result : results) out.write(result);
    if (!more || input.waits()) out.flush();
  }
}

constexpr const char* kModelHelp =
    "A model's directory (tokenizer.json; or tokenizer.model, spiece.model, sentencepiece.bpe.model, "
    "vocab.json with merges.txt, vocab.txt), one of these files, a .gguf, or ORG/NAME[:QUANT] of the cache";

// ---- encode

struct EncodeOptions {
  std::string model;
  LineInput input;
  bool pieces = false, json = false, no_special = false;
  double dropout = 0;
  std::uint64_t seed = 0;
};

std::string as_json(const Encoding& encoding) {
  OrderedJson offsets = OrderedJson::array();
  for (const Offsets& o : encoding.offsets) offsets.push_back({o.begin, o.end});
  return OrderedJson{{"ids", encoding.ids}, {"pieces", encoding.pieces}, {"offsets", offsets}}.dump();
}

// With a space between them.
void append_numbers(std::span<const Token> ids, std::string& out) {
  constexpr std::size_t kMost = 12;  // bytes of a number and a space
  const std::size_t begin = out.size();
  out.resize(begin + ids.size() * kMost);
  char *const from = out.data() + begin, *to = from, *const end = out.data() + out.size();
  for (const Token id : ids) {
    if (to > from) *to++ = ' ';
    to = std::to_chars(to, end, id).ptr;
  }
  out.resize(begin + static_cast<std::size_t>(to - from));
}

void append_pieces(const Tokenizer& tokenizer, std::span<const Token> ids, std::string& out) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ' ';
    out += tokenizer.piece(ids[i]);
  }
}

void encode(const EncodeOptions& o) {
  const Tokenizer tokenizer = open_tokenizer(model_path(o.model));
  const bool special = !o.no_special;
  convert_lines(o.input, [&](std::string_view given, std::uint64_t number, std::string& out) {
    thread_local std::vector<Token> ids;  // grown once
    std::string parsed;
    const std::string_view line = text_of(o.input, given, number, parsed);
    if (o.json) return void(out += as_json(tokenizer.encode_with_offsets(line, special)));
    ids.clear();
    tokenizer.encode(line, BpeDropout{o.dropout, o.seed, number}, ids, special);
    o.pieces ? append_pieces(tokenizer, ids, out) : append_numbers(ids, out);
  });
}

void add_encode(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("encode", "Text to token ids: a line of ids for each line of text");
  const auto o = std::make_shared<EncodeOptions>();
  command->add_option("-m,--model", o->model, kModelHelp)->required();
  add_input_options(*command, o->input);
  add_json_lines_option(*command, o->input);
  auto* pieces = command->add_flag("--pieces", o->pieces, "The tokens themselves in the place of their ids");
  auto* json = command->add_flag("--json", o->json,
                                 "An object for each line: ids, pieces, and offsets in bytes of the line");
  pieces->excludes(json);
  command->add_flag("--no-special", o->no_special, "Without the tokens that begin or end a text");
  command->add_option("--dropout", o->dropout, "BPE-dropout: the probability of passing over a merge")
      ->check(number(0, 1))
      ->excludes(json);
  command->add_option("--seed", o->seed, "Of the dropout; each line has numbers of its own")
      ->check(whole_number(0, INT64_MAX));
  add_threads_option(*command);
  command->footer(
      "Examples:\n"
      "  echo 'A dog runs.' | glossa tokenizer encode --model runs/en-de\n"
      "  glossa tokenizer encode --model runs/en-de --input news.en.gz --pieces\n"
      "  echo '\"two\\nlines\"' | glossa tokenizer encode --model model.gguf --json-lines");
  command->callback([o] { encode(*o); });
}

// ---- decode

struct DecodeOptions {
  std::string model;
  LineInput input;
  bool skip_special = false;
};

// `most`: ids are less than this.
std::vector<Token> parse_ids(std::string_view line, std::int64_t most, const std::string& name,
                             std::uint64_t number) {
  std::vector<Token> ids;
  const char *at = line.data(), *const end = at + line.size();
  for (;;) {
    while (at < end && (*at == ' ' || *at == '\t')) ++at;
    if (at == end) return ids;
    Token id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    const std::string_view word(at, static_cast<std::size_t>(std::find(at, end, ' ') - at));
    check(error == std::errc() && (next == end || *next == ' ' || *next == '\t'), Code::text_data,
          "{}: line {}: {} is not a token id", name, number, quoted(word));
    check(id >= 0 && id < most, Code::text_data,
          "{}: line {}: there is no token {}; ids of the tokenizer go from 0 to {}", name, number, id, most - 1);
    ids.push_back(id);
    at = next;
  }
}

void decode(const DecodeOptions& o) {
  const Tokenizer tokenizer = open_tokenizer(model_path(o.model));
  const std::string name = o.input.path == "-" ? "standard input" : shown(o.input.path);
  convert_lines(o.input, [&](std::string_view line, std::uint64_t number, std::string& out) {
    const std::string text =
        tokenizer.decode(parse_ids(line, tokenizer.size(), name, number), o.skip_special);
    out += o.input.json_lines ? Json(text).dump() : text;
  });
}

void add_decode(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("decode", "Token ids to text: a line of text for each line of ids");
  const auto o = std::make_shared<DecodeOptions>();
  command->add_option("-m,--model", o->model, kModelHelp)->required();
  add_input_options(*command, o->input);
  add_json_lines_option(*command, o->input);
  command->add_flag("--skip-special", o->skip_special, "Leave out special tokens, such as </s>");
  add_threads_option(*command);
  command->footer(
      "Example:\n"
      "  echo 'A dog runs.' | glossa tokenizer encode -m runs/en-de | glossa tokenizer decode -m runs/en-de");
  command->callback([o] { decode(*o); });
}

// ---- train

struct TrainOptions {
  std::vector<std::string> inputs;
  std::string output, type = "bpe", normalization;
  bool overwrite = false, no_eos = false, replace_invalid = false;
  TokenizerTraining training;
};

void count_file(const LineInput& input, TokenizerTrainer& trainer) {
  LineReader reader = input.open();
  std::vector<std::string> lines;
  std::vector<std::string_view> views;
  for (bool more = true; more;) {
    lines.clear();
    std::size_t bytes = 0;
    for (LineReader::Line line; bytes < 16 * kBatchBytes && (more = reader.next(line));) {
      lines.emplace_back(line.text);
      bytes += line.text.size() + 1;
    }
    views.assign(lines.begin(), lines.end());
    trainer.add(views);
  }
}

void train(TrainOptions o) {
  check_one_standard_input(o.inputs);
  const fs::path directory = o.output;
  check(o.overwrite || !fs::exists(directory / "tokenizer.json"), Code::output_exists,
        "{}: there is a tokenizer.json already; --overwrite replaces it", shown(directory));
  auto& t = o.training;
  const std::pair<const char*, TokenizerKind> kinds[] = {{"bpe", TokenizerKind::bpe},
                                                         {"byte_bpe", TokenizerKind::byte_bpe},
                                                         {"chars", TokenizerKind::chars},
                                                         {"words", TokenizerKind::words}};
  for (const auto& [name, kind] : kinds)
    if (o.type == name) t.kind = kind;
  const bool bytes = t.kind == TokenizerKind::byte_bpe;
  const std::string form = o.normalization.empty() ? bytes ? "none" : "nfc" : o.normalization;
  check(!bytes || form == "none", Code::bad_value,
        "--normalization {}: byte_bpe keeps text as it is, and goes with none only", form);
  t.normalization =
      form == "none" ? std::nullopt : std::optional(form == "nfc" ? Normalization::nfc : Normalization::nfkc);
  t.append_eos = !o.no_eos;
  TokenizerTrainer trainer(t);
  for (const std::string& input : o.inputs) count_file({input, o.replace_invalid}, trainer);
  const Tokenizer tokenizer = trainer.train();
  make_directories(directory);
  tokenizer.save(directory);
  note(fmt::format("{}: {} tokens", shown(directory / "tokenizer.json"), tokenizer.size()));
}

void add_train_command(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("train", "Learn a vocabulary from text, and write it as a tokenizer.json");
  const auto o = std::make_shared<TrainOptions>();
  auto& t = o->training;
  command
      ->add_option("-i,--input", o->inputs,
                   "Texts, one sentence or paragraph a line; several make one vocabulary")
      ->type_name("FILE...")
      ->required();
  command->add_option("-o,--output-dir", o->output, "Where tokenizer.json and tokenizer_config.json go")
      ->type_name("DIR")
      ->required();
  command->add_flag("--overwrite", o->overwrite, "Replace a tokenizer that is there");
  command->add_option("--type", o->type, "bpe (with a mark at word beginnings), byte_bpe, chars or words")
      ->check(CLI::IsMember({"bpe", "byte_bpe", "chars", "words"}))
      ->capture_default_str();
  command->add_option("--vocab-size", t.vocab_size, "Tokens to learn, special ones included")
      ->check(whole_number(1, INT32_MAX))
      ->capture_default_str();
  command
      ->add_option("--min-frequency", t.min_frequency,
                   "Pairs (words, characters) seen more seldom do not count")
      ->check(whole_number(0, INT64_MAX))
      ->capture_default_str();
  command->add_option("--limit-alphabet", t.limit_alphabet, "Different characters to keep at most")
      ->check(whole_number(1, INT32_MAX));
  command
      ->add_option("--character-coverage", t.character_coverage,
                   "Share of all characters that those kept must make up; 0.9995 is good for Chinese")
      ->check(number(0, 1))
      ->capture_default_str();
  command
      ->add_option("--normalization", o->normalization,
                   "Unicode normalization: none, nfc or nfkc; nfc unless byte_bpe")
      ->check(CLI::IsMember({"none", "nfc", "nfkc"}));
  command->add_flag("--lowercase", t.lowercase, "Lower-case all text");
  command->add_flag("--no-eos", o->no_eos, "Do not end each text with </s>");
  command->add_flag("--replace-invalid", o->replace_invalid,
                    "U+FFFD in the place of bytes that are not UTF-8");
  add_threads_option(*command);
  command->footer(
      "Example:\n"
      "  glossa tokenizer train --input train.en.gz train.de.gz --vocab-size 8000 --output-dir "
      "tokenizers/en-de");
  command->callback([o] { train(*o); });
}

}  // namespace

void add_tokenizer(CLI::App& program) {
  CLI::App* command = program.add_subcommand("tokenizer", "Train a vocabulary; text to token ids and back");
  command->footer(
      "Read are tokenizer.json with all of its components, SentencePiece models, vocab.json with\n"
      "merges.txt, vocab.txt, and the vocabularies of GGUF files: docs/tokenizers.md says which classes\n"
      "and kinds of them.");
  command->require_subcommand(1);
  add_train_command(*command);
  add_encode(*command);
  add_decode(*command);
}

}  // namespace glossa::app
