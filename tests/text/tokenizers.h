// tokenizers.h -- small tokenizers for the tests, honest and hostile, and what the program says to them.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "support/error_of.h"
#include "text/tokenizer.h"

namespace glossa::test {

using Merges = std::vector<std::pair<std::string, std::string>>;

// The tokenizer.json of a BPE model with nothing around it: ids in the order of the pieces.
inline Json bpe_json(const std::vector<std::string>& pieces, const Merges& merges = {}) {
  Json json = {{"version", "1.0"},
               {"model", {{"type", "BPE"}, {"vocab", Json::object()}, {"merges", merges}}}};
  for (std::size_t id = 0; id < pieces.size(); ++id) json["model"]["vocab"][pieces[id]] = id;
  return json;
}

// A token that the vocabulary does not have follows it.
inline Json added_token(std::size_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", false}};
}

// The same JSON with a value put at a place such as "/model/vocab".
inline Json with(Json json, const std::string& place, Json value) {
  json[Json::json_pointer(place)] = std::move(value);
  return json;
}

inline Tokenizer tokenizer_of(const Json& json) {
  return Tokenizer::parse(json.dump(), "tokenizer.json");
}

inline std::string refusal(const std::string& text, const Limits& limits = {}) {
  return error_of([&] { Tokenizer::parse(text, "tokenizer.json", limits); });
}
inline std::string refusal(const Json& json) {
  return refusal(json.dump());
}

}  // namespace glossa::test
