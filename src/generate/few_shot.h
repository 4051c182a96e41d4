// few_shot.h -- prompts made of examples: a task is put to a language model as some cases with their answers
// and one without, and its weights stay what they are (Brown et al., "Language Models are Few-Shot Learners",
// 2020, section 2).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

// How a case is written: "Review: {text}\nSentiment: {label}". {name} stands for a field of the case, {{ and
// }} for braces.
class FewShotTemplate {
 public:
  // `label_field` must occur once, after another field. Error(bad_value) names the byte.
  static FewShotTemplate parse(std::string_view text, std::string_view label_field);

  const std::vector<std::string>& fields() const { return fields_; }  // but the label's, each once

  // `values`: of fields(), in their order.
  std::string example(std::span<const std::string> values, std::string_view label) const;
  // The case up to its label. Spaces before the label are the completion's: tokenizers join them to the word
  // that follows.
  std::string query(std::span<const std::string> values) const;
  std::string completion(std::string_view label) const;
  // What stands between the last field and the label, as "Sentiment:": the label's context that says nothing
  // of the case.
  std::string answer_context() const;

 private:
  static constexpr int kText = -1, kLabel = -2;
  struct Part {
    int field;  // of fields_, or one of the above
    std::string text;
  };
  int field_named(const std::string& name);
  void append(std::string& out, const Part& part, std::span<const std::string> values,
              std::string_view label) const;

  std::vector<std::string> fields_;
  std::vector<Part> parts_;  // the label's among them, and before it no spaces
  std::size_t label_part_ = 0;
  std::string spaces_;  // that stood there
};

struct ExampleDrawOptions {
  std::size_t shots = 0;
  bool balanced = false;  // every label as often as the others, or once more: which ones, is drawn
  std::uint64_t seed = 42;
};

// Which examples a prompt shows, and in which order: a function of the seed and of a number, that of the
// draw.
class ExampleDraw {
 public:
  // `labels`: of each example, from 0 to `label_count`. Error(bad_value) if there are fewer examples than
  // wanted.
  ExampleDraw(std::span<const std::size_t> labels, std::size_t label_count,
              const ExampleDrawOptions& options);
  std::vector<std::size_t> operator()(std::uint64_t draw) const;
  // The label of which there are fewer examples than a balanced draw may want, or label_count.
  std::size_t scarce() const;

 private:
  ExampleDrawOptions options_;
  std::vector<std::vector<std::size_t>> pools_;  // examples to draw from: one pool, or one for each label
};

// A prompt and how much of it others have too.
struct FewShotPrompt {
  std::string text = {};
  std::size_t beginning = 0;  // bytes: the instruction and the examples
  std::size_t shots = 0;      // examples that are in it
};

struct FewShotFrame {
  std::string instruction = {}, separator = "\n\n";  // the separator follows the instruction and each example
};
FewShotPrompt few_shot_prompt(const FewShotFrame& frame, std::span<const std::string> examples,
                              std::string_view query);
// The same with as many of the examples as `fits` takes: the last ones are left out, so that what remains
// begins as the prompts of others do. If it takes none, the prompt without examples.
FewShotPrompt fitting_prompt(const FewShotFrame& frame, std::span<const std::string> examples,
                             std::string_view query, const std::function<bool(const FewShotPrompt&)>& fits);

}  // namespace glossa
