#include "app/search_options.h"

namespace glossa::app {

void add_beam_options(CLI::App& c, SearchChanges& changes, const char* beams, const char* several) {
  using G = GenerationConfig;
  const char* group = "Search";
  const auto add = [&](const auto& change) { add_change(c, changes, change)->group(group); };
  add(Change{beams, &G::num_beams, 1, 1000, "Hypotheses kept; 1: greedy"});
  add(Change{"--n-best,--num-return-sequences", &G::num_return_sequences, 1, 1000, several});
  add(Change{"--length-penalty", &G::length_penalty, -100, 100, "Exponent of the length that scores are divided by"});
  c.add_option_function<std::string>("--length-penalty-form", [&changes](const std::string& form) {
     changes.push_back([form](G& g) { g.length_penalty_form = form == "gnmt" ? LengthPenaltyForm::gnmt : LengthPenaltyForm::power; });
   }, "power: n^A; gnmt: ((5 + n) / 6)^A")->check(CLI::IsMember({"power", "gnmt"}))->group(group);
  add(Change{"--patience", &G::patience, kLittle, 1e6, "Finished hypotheses wanted, in multiples of the beam size"});
  c.add_option_function<std::string>("--early-stopping", [&changes](const std::string& mode) {
     const EarlyStopping e = early_stopping_from_name(mode);
     changes.push_back([e](G& g) { g.early_stopping = e; });
   }, "true, false or never")->group(group);
  add(Change{"--no-repeat-ngram-size", &G::no_repeat_ngram_size, 0, INT32_MAX, "No sequence of so many tokens comes twice"});
  add(Change{"--num-beam-groups", &G::num_beam_groups, 1, 1000, "Diverse beam search: groups"});
  add(Change{"--diversity-penalty", &G::diversity_penalty, 0, 1e6, "Diverse beam search: cost of another group's token"});
}

}  // namespace glossa::app
