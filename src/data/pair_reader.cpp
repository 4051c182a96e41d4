#include "data/pair_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "data/json_lines.h"

namespace glossa {
namespace {

// A line of a file may hold line feeds as JSON escapes; a sentence may not, as it is to be written on one
// line.
void check_one_line(std::string_view text, const std::string& key, const std::string& place) {
  check(text.find('\n') == std::string_view::npos, Code::text_data,
        "{}: the text of {} has more than one line", place, quoted(key));
}

}  // namespace

std::vector<fs::path> CorpusFiles::paths() const {
  return file.empty() ? std::vector{source, target} : std::vector{file};
}

std::string CorpusFiles::names() const {
  return file.empty() ? fmt::format("{} and {}", shown(source), shown(target)) : shown(file);
}

PairReader::PairReader(const CorpusFiles& files, const TextOptions& options)
    : files_(files),
      format_(files.format != PairFormat::automatic ? files.format
              : names_json_lines(files.file)        ? PairFormat::jsonl
                                                    : PairFormat::tsv),
      limits_(options.limits) {
  check(files.file.empty() != (files.source.empty() && files.target.empty()), Code::recipe,
        "a corpus is either two parallel files or one file of pairs");
  check(!files.file.empty() || (!files.source.empty() && !files.target.empty()), Code::recipe,
        "{}: is one of two parallel files, and the other is missing",
        shown(files.source.empty() ? files.target : files.source));
  check(files.file.empty() ? files.source != "-" || files.target != "-" : true, Code::recipe,
        "standard input cannot be both of two parallel files");
  for (const fs::path& path : files.paths()) readers_.push_back(LineReader::open(path, options));
}

bool PairReader::next(Pair& pair) {
  pair = {};
  if (readers_.size() == 2) return next_of_two(pair);
  LineReader::Line line;
  if (!readers_[0].next(line)) return false;
  pair.line = readers_[0].line_number();
  pair.too_long = line.too_long;
  if (line.too_long) return true;
  if (format_ == PairFormat::tsv)
    split_columns(line.text, pair);
  else
    take_object(line.text, pair);
  return true;
}

bool PairReader::next_of_two(Pair& pair) {
  LineReader::Line source, target;
  const bool first = readers_[0].next(source), second = readers_[1].next(target);
  if (first != second) {
    const std::uint64_t sources = readers_[0].count_rest(), targets = readers_[1].count_rest();
    fail(Code::line_counts,
         "{} has {} lines and {} has {}: parallel files must have as many lines as each other",
         readers_[0].name(), sources, readers_[1].name(), targets);
  }
  pair = {source.text, target.text, readers_[0].line_number(), source.too_long || target.too_long};
  return first;
}

void PairReader::split_columns(std::string_view line, Pair& pair) const {
  const std::size_t tab = line.find('\t');
  const auto columns = 1 + std::count(line.begin(), line.end(), '\t');
  check(columns == 2, Code::text_data, "{}: line {}: has {} column{}, and source TAB target are 2",
        readers_[0].name(), pair.line, columns, columns == 1 ? "" : "s");
  pair.source = line.substr(0, tab);
  pair.target = line.substr(tab + 1);
}

void PairReader::take_object(std::string_view line, Pair& pair) {
  const std::string place = fmt::format("{}: line {}", readers_[0].name(), pair.line);
  Json object = parse_object(line, place, limits_);
  std::string source_key = files_.source_column, target_key = files_.target_column;
  Json* holder = &object;
  if (const auto it = object.find("translation"); it != object.end() && !object.contains(source_key)) {
    check(it->is_object(), Code::text_data, "{}: \"translation\" is a JSON {}, and an object is needed",
          place, it->type_name());
    holder = &*it, source_key = files_.source_lang, target_key = files_.target_lang;
  }
  check(source_key != target_key, Code::recipe, "source and target have the same key {}", quoted(source_key));
  source_ = take_text(*holder, source_key, place);
  target_ = take_text(*holder, target_key, place);
  check_one_line(source_, source_key, place);
  check_one_line(target_, target_key, place);
  pair.source = source_, pair.target = target_;
}

CorpusNotes PairReader::notes() const {
  CorpusNotes sum;
  for (const LineReader& reader : readers_) sum.add(reader.notes());
  return sum;
}

}  // namespace glossa
