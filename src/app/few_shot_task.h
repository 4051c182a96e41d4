// few_shot_task.h -- the cases of `glossa few-shot` as its command line names them: what is read and refused
// before a model is loaded.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/text_rows.h"
#include "generate/few_shot.h"

namespace glossa::app {

struct FewShotFlags {
  std::string examples, input, inputs;
  std::string form = "Input: {text}\\nOutput: {label}", instruction, separator = "\\n\\n",
              label_field = "label";
  std::vector<std::string> labels;  // VALUE or VALUE=WORDS
  std::int64_t shots = -1;          // -1: kUsualShots, or as many as there are
  std::uint64_t seed = 42;
  bool balanced = false, redraw = false;
  bool free_text = false;  // labels are any text, and none are listed
};
inline constexpr std::int64_t kUsualShots = 16;

// \n, \t and \\ in what a shell hands over as it was typed. Error(bad_value) for others, Error(utf8).
std::string unescaped(const std::string& text, const char* option);

class FewShotTask {
 public:
  explicit FewShotTask(const FewShotFlags& flags);

  const FewShotTemplate& form() const { return form_; }
  const FewShotFrame& frame() const { return frame_; }
  const std::vector<std::string>& labels() const { return values_; }  // as files have them
  const std::vector<std::string>& words() const { return words_; }    // as prompts have them
  std::size_t shots() const { return shots_; }
  std::size_t size() const { return inputs_.size(); }
  const TextRow& input(std::size_t i) const { return inputs_[i]; }
  const std::string& place(std::size_t i) const { return places_[i]; }
  // The number of its label among labels(), or none.
  std::optional<std::size_t> truth(std::size_t i) const;
  // A label as prompts have it.
  const std::string& word_of(const std::string& label) const;

  // The examples of an input, written out: those of the run, or its own.
  const std::vector<std::string>& examples_of(std::size_t i);
  std::uint64_t shown_their_own() const {
    return shown_their_own_;
  }  // inputs so far that were among their examples
  std::vector<std::string> labels_without_example() const;

 private:
  std::size_t index_of(const std::string& label) const;  // labels().size(): none of them
  void take_labels(const FewShotFlags& flags);
  void find_labels(const FewShotFlags& flags);
  void check_labels(const std::vector<TextRow>& rows, const std::string& file) const;
  void take_shots(const FewShotFlags& flags);
  void read_inputs(const FewShotFlags& flags);

  FewShotTemplate form_;
  FewShotFrame frame_;
  std::vector<std::string> values_, words_;
  std::vector<TextRow> examples_, inputs_;
  std::vector<std::string> places_;
  std::size_t shots_ = 0;
  bool redraw_;
  std::optional<ExampleDraw> draw_;
  std::vector<std::size_t> drawn_;
  std::vector<std::string> shown_;
  std::uint64_t shown_their_own_ = 0;
};

}  // namespace glossa::app
