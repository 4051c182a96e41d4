// drafter.h -- speculative decoding: cheap guesses at the next tokens of a text, which the model then reads all at once
// instead of one after the other (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", 2023). A
// guess is kept as far as it is what the model chooses itself, so a text never depends on guesses, only its speed does.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace glossa {

class Drafter {
 public:
  struct Text {
    std::span<const std::int32_t> tokens;
    std::int64_t most;                     // tokens to guess
    std::vector<std::int32_t> guess = {};  // the result; empty where nothing is worth a try
  };
  virtual ~Drafter() = default;
  virtual void guess(std::span<Text> texts) = 0;
};

// Guesses that what followed the same few tokens before follows them again (Saxena, "Prompt Lookup Decoding", 2023). Good
// where texts repeat themselves or their prompt: summaries, corrections, code.
class PromptLookup final : public Drafter {
 public:
  // At least `shortest` tokens must be the same; the longest match, up to `longest`, is taken, and of these the latest.
  explicit PromptLookup(std::int64_t shortest = 2, std::int64_t longest = 4) : shortest_(shortest), longest_(longest) {}
  void guess(std::span<Text> texts) override;

 private:
  std::int64_t shortest_, longest_;
};

}  // namespace glossa
