#include "app/few_shot_task.h"

#include <algorithm>
#include <set>

#include "app/command.h"
#include "base/error.h"
#include "base/unicode.h"

namespace glossa::app {
namespace {

// More of them are no labels but answers of their own.
constexpr std::size_t kMostLabels = 256;

void check_utf8(const std::string& text, const char* option) {
  const auto bad = utf8_error(text);
  check(!bad, Code::utf8, "{}: byte {} is not UTF-8", option, bad.value_or(0));
}

bool blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

std::string listed(const std::vector<std::string>& labels) {
  constexpr std::size_t kMost = 8;
  std::string text;
  for (std::size_t i = 0; i < labels.size() && i < kMost; ++i)
    text += (i ? ", " : "") + quoted(labels[i], 40);
  return text + (labels.size() > kMost ? ", ..." : "");
}

}  // namespace

std::string unescaped(const std::string& text, const char* option) {
  check_utf8(text, option);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char next = i + 1 < text.size() ? text[++i] : '\0';
    check(next == 'n' || next == 't' || next == '\\', Code::bad_value,
          "{}: byte {}: {} is none of \\n, \\t and \\\\ (a backslash)", option, next ? i - 1 : i,
          quoted(next ? text.substr(i - 1, 2) : "\\"));
    out += next == 'n' ? '\n' : next == 't' ? '\t' : '\\';
  }
  return out;
}

FewShotTask::FewShotTask(const FewShotFlags& flags)
    : form_(FewShotTemplate::parse(unescaped(flags.form, "--template"), flags.label_field)),
      frame_{unescaped(flags.instruction, "--instruction"), unescaped(flags.separator, "--separator")},
      redraw_(flags.redraw) {
  check(flags.input.empty() != flags.inputs.empty(), Code::usage,
        "give one of --input TEXT and --inputs FILE (- is standard input)");
  check(flags.input.empty() || form_.fields().size() == 1, Code::usage,
        "--input gives one text, and the template has {} fields: {}; give --inputs FILE",
        form_.fields().size(), listed(form_.fields()));
  check_one_standard_input({flags.examples, flags.inputs});
  take_labels(flags);
  if (!flags.examples.empty())
    examples_ = read_text_rows(LineReader::open(flags.examples, {}),
                               {.names = form_.fields(), .label = flags.label_field, .label_required = true});
  find_labels(flags);
  take_shots(flags);
  read_inputs(flags);
}

// Those that --labels lists.
void FewShotTask::take_labels(const FewShotFlags& flags) {
  for (const std::string& text : flags.labels) {
    check_utf8(text, "--labels");
    const std::size_t sign = text.find('=');
    const std::string value = text.substr(0, sign), word = sign == text.npos ? value : text.substr(sign + 1);
    check(!blank(value) && !blank(word), Code::bad_value, "--labels {}: a label, or LABEL=WORDS, is wanted",
          quoted(text));
    check(index_of(value) == values_.size(), Code::bad_value, "--labels: {} is listed twice", quoted(value));
    check(std::find(words_.begin(), words_.end(), word) == words_.end(), Code::bad_value,
          "--labels: two labels are written {}, and could not be told apart", quoted(word));
    values_.push_back(value), words_.push_back(word);
  }
}

// Without --labels, those of the examples. With them, examples have no others.
void FewShotTask::find_labels(const FewShotFlags& flags) {
  if (!values_.empty()) {
    check_labels(examples_, flags.examples);
  } else if (!flags.free_text) {
    check(!examples_.empty(), Code::usage,
          "no labels to choose from: give --examples FILE, --labels, or --generate");
    std::set<std::string> found;
    for (const TextRow& row : examples_) found.insert(*row.label);
    check(found.size() <= kMostLabels, Code::count,
          "{}: the examples have {} different labels, and at most {} are compared; "
          "answers in free words are for --generate",
          shown(flags.examples), found.size(), kMostLabels);
    values_.assign(found.begin(), found.end());
    words_ = values_;
  }
  check(flags.free_text || values_.size() >= 2, Code::bad_value,
        "{} is the only label; there must be at least 2 to choose from", listed(values_));
}

void FewShotTask::check_labels(const std::vector<TextRow>& rows, const std::string& file) const {
  for (const TextRow& row : rows)
    check(!row.label || index_of(*row.label) < values_.size(), Code::text_data,
          "{}: line {}: label {} is none of {}", shown(file), row.line, quoted(row.label.value_or("")),
          listed(values_));
}

void FewShotTask::take_shots(const FewShotFlags& flags) {
  const std::size_t there = examples_.size();
  shots_ = static_cast<std::size_t>(
      flags.shots >= 0 ? flags.shots : std::min<std::int64_t>(kUsualShots, static_cast<std::int64_t>(there)));
  check(shots_ == 0 || there > 0, Code::usage,
        "--shots {}: there are no examples to show; give --examples FILE", shots_);
  check(shots_ <= there, Code::bad_value, "--shots {}: {} has {} examples", shots_, shown(flags.examples),
        there);
  // What a balanced draw balances where labels are any text.
  std::vector<std::string> names = values_;
  if (names.empty()) {
    std::set<std::string> found;
    for (const TextRow& row : examples_) found.insert(*row.label);
    names.assign(found.begin(), found.end());
  }
  std::vector<std::size_t> labels;
  for (const TextRow& row : examples_)
    labels.push_back(
        static_cast<std::size_t>(std::find(names.begin(), names.end(), *row.label) - names.begin()));
  draw_.emplace(labels, std::max<std::size_t>(1, names.size()),
                ExampleDrawOptions{.shots = shots_, .balanced = flags.balanced, .seed = flags.seed});
  if (!flags.balanced || shots_ == 0) return;
  const std::size_t scarce = draw_->scarce();
  check(scarce >= names.size(), Code::bad_value,
        "--balanced: {} has {} examples of {}, and {} shots of {} labels may take {}", shown(flags.examples),
        std::count(labels.begin(), labels.end(), scarce), quoted(scarce < names.size() ? names[scarce] : ""),
        shots_, names.size(), (shots_ + names.size() - 1) / names.size());
}

void FewShotTask::read_inputs(const FewShotFlags& flags) {
  if (!flags.input.empty()) {
    check_utf8(flags.input, "--input");
    inputs_.push_back({.values = {flags.input}, .label = {}, .line = 1});
    places_.emplace_back("--input");
    return;
  }
  inputs_ = read_text_rows(LineReader::open(flags.inputs, {}),
                           {.names = form_.fields(), .label = flags.label_field});
  if (!values_.empty()) check_labels(inputs_, flags.inputs);
  for (const TextRow& row : inputs_)
    places_.push_back(fmt::format("{}: line {}", shown(flags.inputs), row.line));
}

std::size_t FewShotTask::index_of(const std::string& label) const {
  return static_cast<std::size_t>(std::find(values_.begin(), values_.end(), label) - values_.begin());
}

std::optional<std::size_t> FewShotTask::truth(std::size_t i) const {
  if (!inputs_[i].label) return {};
  return index_of(*inputs_[i].label);
}

const std::string& FewShotTask::word_of(const std::string& label) const {
  const std::size_t i = index_of(label);
  return i < values_.size() ? words_[i] : label;
}

const std::vector<std::string>& FewShotTask::examples_of(std::size_t i) {
  if (redraw_ || shown_.size() < shots_) {
    drawn_ = (*draw_)(redraw_ ? i + 1 : 0);
    shown_.clear();
    for (const std::size_t e : drawn_)
      shown_.push_back(form_.example(examples_[e].values, word_of(*examples_[e].label)));
  }
  shown_their_own_ += std::any_of(drawn_.begin(), drawn_.end(),
                                  [&](std::size_t e) { return examples_[e].values == inputs_[i].values; });
  return shown_;
}

std::vector<std::string> FewShotTask::labels_without_example() const {
  std::vector<std::string> missing;
  for (const std::string& label : values_)
    if (std::none_of(examples_.begin(), examples_.end(),
                     [&](const TextRow& row) { return row.label == label; }))
      missing.push_back(label);
  return missing;
}

}  // namespace glossa::app
