// failures.h -- tokenizer.json files that must be refused, and what is said to them.
#pragma once
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tokenizers.h"

namespace glossa::test {

// A file that is refused, and what the message must say of it.
struct Refused {
  Json json;
  std::vector<std::string> parts;
  std::string code = "E3201";
};

inline void expect_refused(const std::vector<Refused>& cases) {
  for (const Refused& c : cases) {
    const std::string said = refusal(c.json);
    SCOPED_TRACE(said + " for " + std::string(quoted(c.json.dump(), 300)));
    EXPECT_THAT(said, testing::StartsWith(c.code + " tokenizer.json: "));
    for (const std::string& part : c.parts) EXPECT_THAT(said, testing::HasSubstr(part));
    EXPECT_THAT(said, testing::Not(testing::HasSubstr("\n")));
  }
}

inline const std::vector<std::string> kLetters = {"a", "b", "c", "ab", "abc"};
inline const Merges kMerges = {{"a", "b"}, {"ab", "c"}};
inline Json letters() {
  return bpe_json(kLetters, kMerges);
}

}  // namespace glossa::test
