#include "data/document_reader.h"

#include <glob.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/json_lines.h"

namespace glossa {
namespace {

bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

// Files of a folder that are read: those whose names say text.
bool of_text(const fs::path& path) {
  const fs::path extension = without_compression(path).extension();
  return extension == ".txt" || extension == ".text" || extension == ".md" || names_json_lines(path);
}

std::vector<fs::path> matches(const std::string& pattern) {
  glob_t found = {};
  const int status = glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<fs::path> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  check(status == 0 || status == GLOB_NOMATCH, Code::open, "{}: cannot be searched for", quoted(pattern));
  check(!paths.empty(), Code::open, "{}: no file has a name of this pattern", quoted(pattern));
  return paths;
}

// The start of the character that `at` lies within.
std::size_t character_start(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

std::string DocumentFiles::names() const {
  std::string all;
  for (std::size_t i = 0; i < paths.size() && i < 3; ++i) all += (i ? ", " : "") + shown(paths[i]);
  if (paths.size() > 3) all += fmt::format(" and {} more", paths.size() - 3);
  if (begin > 0) all += fmt::format(", from byte {}", begin);
  if (end < UINT64_MAX) all += fmt::format(", up to byte {}", end);
  return all;
}

std::vector<fs::path> expand_files(const std::vector<std::string>& words) {
  std::vector<fs::path> all;
  for (const std::string& word : words) {
    std::error_code ignored;
    if (fs::is_directory(word, ignored)) {
      std::vector<fs::path> inside;
      std::error_code error;
      for (fs::directory_iterator i(word, error), end; !error && i != end; i.increment(error))
        if (of_text(i->path()) && i->is_regular_file(ignored)) inside.push_back(i->path());
      check(!error, Code::open, "{}: {}", shown(word), error.message());
      check(!inside.empty(), Code::open,
            "{}: the folder has no .txt, .md, .jsonl, .json or .ndjson (nor .gz or .zst of such)",
            shown(word));
      std::sort(inside.begin(), inside.end());
      all.insert(all.end(), inside.begin(), inside.end());
    } else if (word != "-" && !fs::exists(word, ignored) && word.find_first_of("*?[") != std::string::npos) {
      const std::vector<fs::path> found = matches(word);
      all.insert(all.end(), found.begin(), found.end());
    } else {
      all.emplace_back(word);
    }
  }
  return all;
}

DocumentReader::DocumentReader(DocumentFiles files, const TextOptions& options)
    : files_(std::move(files)), options_(options) {
  options_.pass_over_long_lines = false;
}

bool DocumentReader::next(DocumentPart& part) {
  while (fill()) {
    ready_ = false;
    part = {.text = part_, .first = first_, .last = ends_};
    if (within(part)) return true;
    if (offset_ >= files_.end) return false;
  }
  return false;
}

// Cuts a part to the range of bytes; false if nothing is left of it.
bool DocumentReader::within(DocumentPart& part) {
  if (part.first) shown_ = false;
  const std::uint64_t begin = offset_, size = part.text.size();
  offset_ += size;
  const auto place = [&](std::uint64_t border) {
    return border <= begin
               ? 0
               : character_start(part.text, static_cast<std::size_t>(std::min(border - begin, size)));
  };
  const std::size_t from = place(files_.begin), to = place(files_.end);
  if (from >= to) return false;
  part.text = part.text.substr(from, to - from);
  part.last = part.last || offset_ >= files_.end;
  part.first = !std::exchange(shown_, true);
  counts_.documents += part.first, counts_.bytes += part.text.size();
  return true;
}

bool DocumentReader::fill() {
  while (!ready_) {
    if (!reader_) {
      if (next_file_ == files_.paths.size()) return false;
      const fs::path& path = files_.paths[next_file_++];
      jsonl_ = files_.format == DocumentFormat::jsonl ||
               (files_.format == DocumentFormat::automatic && names_json_lines(path));
      reader_.emplace(LineReader::open(path, options_));
    }
    if (next_of_file()) continue;
    emit(true);
    done_ = notes();
    reader_.reset();
  }
  return true;
}

// Reads a line of the file; false at its end.
bool DocumentReader::next_of_file() {
  LineReader::Line line;
  if (!reader_->next(line)) return false;
  if (jsonl_) {
    if (!blank(line.text)) take_object(line.text);
  } else {
    add_line(line);
  }
  return true;
}

void DocumentReader::add_line(const LineReader::Line& line) {
  if (files_.documents == DocumentRule::blank_line && blank(line.text)) return emit(true);
  const std::size_t together = pending_.size() + line.text.size();
  if (together >= kPartBytes && !pending_.empty() && files_.documents != DocumentRule::line) {
    // A tokenizer may take white space before a line together with that at its beginning.
    const bool apart = !line.text.empty() && !blank(line.text.substr(0, 1)) && pending_.size() > 1 &&
                       !blank(std::string_view(pending_).substr(pending_.size() - 2, 1));
    if (apart || together >= 2 * kPartBytes) emit(false);
  }
  pending_ += line.text;
  if (line.fed && files_.documents != DocumentRule::line) pending_ += '\n';
  if (files_.documents == DocumentRule::line) emit(true);
}

void DocumentReader::take_object(std::string_view line) {
  const std::string place = fmt::format("{}: line {}", reader_->name(), reader_->line_number());
  Json object = parse_object(line, place, options_.limits);
  pending_ = take_text(object, files_.text_column, place, "data.text_column");
  emit(true);
}

// Makes what is pending the next part.
void DocumentReader::emit(bool last) {
  // The line feed before a blank line parts documents, and is of none.
  if (last && !jsonl_ && files_.documents == DocumentRule::blank_line && pending_.ends_with('\n'))
    pending_.pop_back();
  if (!begun_ && last && blank(pending_)) {
    counts_.blank += !pending_.empty();
    pending_.clear();
    return;
  }
  std::swap(part_, pending_);
  pending_.clear();
  first_ = !begun_, ends_ = last, ready_ = true;
  begun_ = !last;
}

CorpusNotes DocumentReader::notes() const {
  CorpusNotes sum = done_;
  if (reader_) sum.add(reader_->notes());
  return sum;
}

}  // namespace glossa
