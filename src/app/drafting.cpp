#include "app/drafting.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/values.h"
#include "base/error.h"
#include "generate/draft_model.h"
#include "text/parts.h"

namespace glossa::app {
namespace {

// A draft model with its weights.
class LoadedDraft final : public Drafter {
 public:
  LoadedDraft(LoadedCausalModel loaded, std::int64_t sequences, double least_probability)
      : loaded_(std::move(loaded)), draft_(*loaded_.model, sequences, least_probability) {}
  void guess(std::span<Text> texts) override { draft_.guess(texts); }

 private:
  LoadedCausalModel loaded_;
  DraftModel draft_;
};

// Error(tokenizer) if some token is another one in the draft model. Tables may go on at their ends with what no text has.
void check_same_tokens(const Tokenizer& model, const Tokenizer& draft, const std::string& name) {
  const Vocabulary &a = model.parts().vocabulary(), &b = draft.parts().vocabulary();
  const auto same = [&](Token id, std::string_view here, std::string_view there) {
    check(here == there, Code::tokenizer, "{}: a draft model needs the tokens of the model, and token {} is {} there and {} here", shown(name),
          id, quoted(there), quoted(here));
  };
  for (Token id = 0; id < std::min(a.size(), b.size()); ++id)
    if (a.has(id) && b.has(id)) same(id, a[id], b[id]);
  for (const AddedToken& token : model.parts().added_tokens)
    if (const auto there = draft.id(token.content); there && *there != token.id) same(token.id, token.content, draft.piece(token.id));
}

}  // namespace

void add_draft_options(CLI::App& c, DraftOptions& o, EngineOptions& engine) {
  const char* group = "Guessing ahead: the same text, sooner";
  c.add_flag("--prompt-lookup", o.lookup, "Guess that what followed the same tokens before follows them again")->group(group);
  c.add_option("--md,--model-draft", o.model, "A smaller model with the same tokens that guesses (-md too)")->type_name("MODEL")->group(group);
  c.add_option("--draft-max,--draft", engine.draft_max, "Most tokens to guess at a time")
      ->type_name("N")->check(whole_number(1, 1 << 10))->capture_default_str()->group(group);
  c.add_option("--draft-p-min", o.least_probability, "A token that the draft model gives less than this ends a guess")
      ->type_name("P")->check(number(0, 1))->capture_default_str()->group(group);
}

std::unique_ptr<Drafter> make_drafter(const DraftOptions& o, const Tokenizer& tokenizer, std::int64_t sequences) {
  check(!o.lookup || o.model.empty(), Code::usage, "give --prompt-lookup or --model-draft, not both");
  if (o.lookup) return std::make_unique<PromptLookup>();
  if (o.model.empty()) return nullptr;
  LoadedCausalModel loaded = load_causal({.model = o.model});
  check_same_tokens(tokenizer, loaded.tokenizer, o.model);
  return std::make_unique<LoadedDraft>(std::move(loaded), sequences, o.least_probability);
}

EngineOptions with_drafter(EngineOptions engine, Drafter* drafter) {
  engine.drafter = drafter;
  return engine;
}

std::string guesses_said(const Engine::Counts& n) {
  return n.guessed ? fmt::format("; {} of {} guesses were right", n.right, n.guessed) : "";
}

}  // namespace glossa::app
