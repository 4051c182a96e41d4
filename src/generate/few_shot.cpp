#include "generate/few_shot.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace glossa {

int FewShotTemplate::field_named(const std::string& name) {
  const auto found = std::find(fields_.begin(), fields_.end(), name);
  if (found == fields_.end()) {
    fields_.push_back(name);
    return static_cast<int>(fields_.size()) - 1;
  }
  return static_cast<int>(found - fields_.begin());
}

FewShotTemplate FewShotTemplate::parse(std::string_view text, std::string_view label_field) {
  FewShotTemplate form;
  std::string plain;
  bool labelled = false;
  const auto end_text = [&] {
    if (!plain.empty()) form.parts_.push_back({kText, std::move(plain)});
    plain.clear();
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      plain += c;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      plain += c, ++at;
      continue;
    }
    const std::size_t end = text.find_first_of("{}", at + 1);
    check(c == '{' && end != text.npos && text[end] == '}' && end > at + 1, Code::bad_value,
          "template: byte {}: a {} that is no part of a {{field}}; for a brace write it twice", at, c);
    const std::string name(text.substr(at + 1, end - at - 1));
    at = end;
    if (name != label_field) {
      end_text();
      form.parts_.push_back({form.field_named(name), ""});
      continue;
    }
    check(!std::exchange(labelled, true), Code::bad_value, "template: {{{}}} occurs more than once",
          label_field);
    check(!form.fields_.empty(), Code::bad_value,
          "template: no field stands before {{{}}}, so that nothing would be asked", label_field);
    const std::size_t word_end = plain.find_last_not_of(" \t") + 1;
    form.spaces_ = plain.substr(word_end);
    plain.resize(word_end);
    end_text();
    form.label_part_ = form.parts_.size();
    form.parts_.push_back({kLabel, ""});
  }
  end_text();
  check(labelled, Code::bad_value, "template: has no {{{}}}, the field of the answer (--label-field)",
        label_field);
  return form;
}

void FewShotTemplate::append(std::string& out, const Part& part, std::span<const std::string> values,
                             std::string_view label) const {
  if (part.field == kText) {
    out += part.text;
  } else if (part.field == kLabel) {
    out += spaces_, out += label;
  } else {
    out += values[static_cast<std::size_t>(part.field)];
  }
}

std::string FewShotTemplate::example(std::span<const std::string> values, std::string_view label) const {
  std::string out;
  for (const Part& part : parts_) append(out, part, values, label);
  return out;
}

std::string FewShotTemplate::query(std::span<const std::string> values) const {
  std::string out;
  for (std::size_t i = 0; i < label_part_; ++i) append(out, parts_[i], values, {});
  return out;
}

std::string FewShotTemplate::completion(std::string_view label) const {
  return spaces_ + std::string(label);
}

std::string FewShotTemplate::answer_context() const {
  const Part& last = parts_[label_part_ - 1];  // there is a field before the label
  const std::size_t begin = last.text.find_first_not_of(" \t\r\n");
  return last.field == kText && begin != std::string::npos ? last.text.substr(begin) : "";
}

namespace {

// `count` of [0, size) in random order, by the first steps of a shuffle of which only what moved is kept.
// Numbers from `counter` on are used up.
std::vector<std::size_t> drawn(std::size_t size, std::size_t count, const Philox& random,
                               std::uint64_t& counter) {
  std::unordered_map<std::size_t, std::size_t> moved;
  const auto at = [&](std::size_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t j = i + random.below(counter++, size - i);
    chosen.push_back(at(j));
    moved[j] = at(i);
  }
  return chosen;
}

}  // namespace

ExampleDraw::ExampleDraw(std::span<const std::size_t> labels, std::size_t label_count,
                         const ExampleDrawOptions& options)
    : options_(options), pools_(options.balanced ? label_count : 1) {
  check(options.shots <= labels.size(), Code::bad_value, "{} examples are wanted, and there are {}",
        options.shots, labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) pools_[options.balanced ? labels[i] : 0].push_back(i);
}

std::size_t ExampleDraw::scarce() const {
  if (!options_.balanced) return pools_.size();
  const std::size_t most = (options_.shots + pools_.size() - 1) / pools_.size();
  return static_cast<std::size_t>(
      std::find_if(pools_.begin(), pools_.end(), [most](const auto& pool) { return pool.size() < most; }) -
      pools_.begin());
}

std::vector<std::size_t> ExampleDraw::operator()(std::uint64_t draw) const {
  const Philox random(options_.seed, Purpose::sample, draw);
  std::uint64_t counter = 0;
  const std::size_t pools = pools_.size(), each = options_.shots / pools, more = options_.shots % pools;
  std::vector<std::size_t> counts(pools, each), chosen, result;
  for (const std::size_t pool : drawn(pools, more, random, counter)) ++counts[pool];
  for (std::size_t pool = 0; pool < pools; ++pool) {
    check(counts[pool] <= pools_[pool].size(), Code::bad_value,
          "{} examples of a label are wanted, and there are {}", counts[pool], pools_[pool].size());
    for (const std::size_t i : drawn(pools_[pool].size(), counts[pool], random, counter))
      chosen.push_back(pools_[pool][i]);
  }
  for (const std::size_t i : drawn(chosen.size(), chosen.size(), random, counter))
    result.push_back(chosen[i]);
  return result;
}

FewShotPrompt few_shot_prompt(const FewShotFrame& frame, std::span<const std::string> examples,
                              std::string_view query) {
  FewShotPrompt prompt{.shots = examples.size()};
  if (!frame.instruction.empty()) prompt.text = frame.instruction + frame.separator;
  for (const std::string& example : examples) prompt.text += example, prompt.text += frame.separator;
  prompt.beginning = prompt.text.size();
  prompt.text += query;
  return prompt;
}

FewShotPrompt fitting_prompt(const FewShotFrame& frame, std::span<const std::string> examples,
                             std::string_view query, const std::function<bool(const FewShotPrompt&)>& fits) {
  FewShotPrompt best = few_shot_prompt(frame, examples, query);
  if (examples.empty() || fits(best)) return best;
  best = few_shot_prompt(frame, {}, query);
  // Of fewer examples than `high` and no fewer than `low`: more of them never fit better.
  for (std::size_t low = 0, high = examples.size(); high - low > 1;) {
    const std::size_t middle = std::midpoint(low, high);
    FewShotPrompt prompt = few_shot_prompt(frame, examples.first(middle), query);
    if (fits(prompt)) {
      low = middle, best = std::move(prompt);
    } else {
      high = middle;
    }
  }
  return best;
}

}  // namespace glossa
