#include "app/scored_texts.h"

#include <algorithm>
#include <span>

#include "app/command.h"
#include "base/error.h"
#include "base/unicode.h"
#include "data/byte_stream.h"
#include "evaluate/python_text.h"

namespace glossa::app {

// A file's text and its lines without white space at their ends. Lines end in \n alone, as sacreBLEU has it,
// and a byte order mark is a character like any other: it would count in the reference score too.
class TextFile {
 public:
  explicit TextFile(const std::string& path, bool universal_newlines = false) {
    ByteStream stream = ByteStream::open(path);
    constexpr std::size_t kBlock = 1 << 20;
    for (std::size_t n = kBlock; n > 0;) {
      const std::size_t size = text_.size();
      text_.resize(size + kBlock);
      n = stream.read(std::as_writable_bytes(std::span(text_).subspan(size)));
      text_.resize(size + n);
    }
    name_ = stream.name();
    if (universal_newlines) unify_newlines();
    split();
  }
  const std::string& name() const { return name_; }
  const Lines& lines() const { return lines_; }

 private:
  void unify_newlines() {
    std::size_t to = 0;
    for (std::size_t from = 0; from < text_.size(); ++from) {
      const bool carriage_return = text_[from] == '\r';
      if (carriage_return && from + 1 < text_.size() && text_[from + 1] == '\n') continue;
      text_[to++] = carriage_return ? '\n' : text_[from];
    }
    text_.resize(to);
  }

  void split() {
    const std::string_view text = text_;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      if (const auto bad = utf8_error(line))
        fail(Code::utf8, "{}: line {}, byte {} (offset {}): 0x{:02X} is not UTF-8 here", name_,
             lines_.size() + 1, *bad + 1, begin + *bad, static_cast<unsigned char>(line[*bad]));
      lines_.push_back(python_rstrip(line));
      begin = end + 1;
    }
  }

  std::string name_, text_;
  Lines lines_;
};

namespace {

Lines tab_fields(std::string_view line, std::size_t most) {
  Lines fields;
  while (fields.size() + 1 < most) {
    const std::size_t tab = line.find('\t');
    if (tab == line.npos) break;
    fields.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  fields.push_back(line);
  return fields;
}

const TextFile& read_into(ScoredTexts& texts, const std::string& path, bool universal_newlines = false) {
  return *texts.files.emplace_back(std::make_shared<const TextFile>(path, universal_newlines));
}

void read_references(const ScoredTexts::Sources& sources, ScoredTexts& texts) {
  if (sources.reference_fields == 1) {
    for (const std::string& path : sources.references)
      texts.references.push_back(read_into(texts, path).lines());
    return;
  }
  check(sources.references.size() == 1, Code::usage,
        "--num-refs splits one file of references at its tabs, but there are {} files",
        sources.references.size());
  const auto fields_wanted = static_cast<std::size_t>(sources.reference_fields);
  texts.references.resize(fields_wanted);
  const TextFile& file = read_into(texts, sources.references[0]);
  for (std::size_t i = 0; i < file.lines().size(); ++i) {
    const Lines fields = tab_fields(file.lines()[i], fields_wanted);
    check(fields.size() == fields_wanted, Code::text_data,
          "{}: line {}: has {} tab-separated references instead of {} (--num-refs)", file.name(), i + 1,
          fields.size(), fields_wanted);
    for (std::size_t r = 0; r < fields.size(); ++r) texts.references[r].push_back(fields[r]);
  }
}

// Standard input holds one system in each tab-separated column; the first line says how many.
void read_systems_from_columns(ScoredTexts& texts) {
  const TextFile& file = read_into(texts, "-", true);
  const Lines lines = file.lines().empty() ? Lines{""} : file.lines();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Lines fields = tab_fields(lines[i], lines[i].size() + 1);
    if (i == 0) texts.systems.resize(fields.size());
    check(fields.size() == texts.systems.size(), Code::text_data,
          "{}: line {}: has {} tab-separated systems, the first line has {}", file.name(), i + 1,
          fields.size(), texts.systems.size());
    for (std::size_t s = 0; s < fields.size(); ++s)
      texts.systems[s].push_back(i == 0 ? fields[s] : python_rstrip(fields[s]));
  }
  for (std::size_t s = 0; s < texts.systems.size(); ++s)
    texts.names.push_back("System " + std::to_string(s + 1));
}

void read_systems(const ScoredTexts::Sources& sources, ScoredTexts& texts) {
  if (sources.inputs.empty()) {
    read_systems_from_columns(texts);
  } else {
    for (const std::string& path : sources.inputs) {
      if (std::find(texts.names.begin(), texts.names.end(), path) != texts.names.end()) {
        check(sources.may_repeat_baseline && path == texts.names[0], Code::usage, "system {} is given twice",
              quoted(path));
        note(fmt::format("{} is the baseline already, and not compared with itself", quoted(path)));
        continue;
      }
      texts.systems.push_back(read_into(texts, path).lines());
      texts.names.push_back(path);
    }
  }
}

void check_lengths(const ScoredTexts::Sources& sources, const ScoredTexts& texts) {
  // With --num-refs the columns of one file are all as long as it.
  const auto reference_name = [&](std::size_t r) {
    return shown(sources.references[sources.references.size() > 1 ? r : 0]);
  };
  for (std::size_t s = 0; s < texts.systems.size(); ++s) {
    const std::string name = sources.inputs.empty() ? "standard input" : shown(texts.names[s]);
    check(!texts.systems[s].empty(), Code::empty, "{}: has no lines", name);
    for (std::size_t r = 0; r < texts.references.size(); ++r)
      check(texts.references[r].size() == texts.systems[s].size(), Code::line_counts,
            "{} has {} lines, but its reference {} has {}", name, texts.systems[s].size(), reference_name(r),
            texts.references[r].size());
  }
}

}  // namespace

ScoredTexts ScoredTexts::read(const Sources& sources) {
  ScoredTexts texts;
  read_references(sources, texts);
  read_systems(sources, texts);
  check_lengths(sources, texts);
  return texts;
}

}  // namespace glossa::app
