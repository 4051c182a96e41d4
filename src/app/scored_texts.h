// scored_texts.h -- the texts that `glossa score` compares: references and systems, segment by segment.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace glossa::app {

using Lines = std::vector<std::string_view>;

class TextFile;

struct ScoredTexts {
  struct Sources {
    const std::vector<std::string>& references;
    int reference_fields = 1;                // tab-separated references in a single file
    const std::vector<std::string>& inputs;  // empty: systems in tab-separated columns of standard input
    bool may_repeat_baseline = false;        // the first system given again is left out instead of refused
  };
  // Error(line_counts) when texts differ in length, Error(utf8), Error(text_data), Error(usage).
  static ScoredTexts read(const Sources& sources);

  std::vector<std::shared_ptr<const TextFile>> files;  // what the views point into
  std::vector<Lines> references;                       // [references][segments]
  std::vector<std::string> names;                      // [systems]
  std::vector<Lines> systems;                          // [systems][segments]
};

}  // namespace glossa::app
