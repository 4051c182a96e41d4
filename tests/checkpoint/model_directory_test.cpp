// The case D18: a model and a tokenizer that do not belong together.
#include "checkpoint/model_directory.h"

#include <gmock/gmock.h>

#include "files.h"

namespace glossa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Characters, each a token; the first are <pad> and </s>.
Tokenizer letters(int count) {
  std::string vocabulary = R"("<pad>":0,"</s>":1)";
  for (int i = 2; i < count; ++i) vocabulary += fmt::format(R"(,"{}":{})", static_cast<char>('a' + i), i);
  return Tokenizer::parse(R"({"model":{"type":"BPE","merges":[],"vocab":{)" + vocabulary + "}}}", "letters");
}

class ModelDirectory : public InFolder {
 protected:
  // A model of `rows` embeddings whose config.json says `vocab_size`, with a tokenizer.
  void save(std::int64_t rows, std::int64_t vocab_size, const Tokenizer& tokenizer) {
    TransformerConfig config;
    config.vocab_size = rows;
    config.d_model = 8;
    config.encoder_layers = config.decoder_layers = 1;
    config.encoder_attention_heads = config.decoder_attention_heads = 2;
    config.encoder_ffn_dim = config.decoder_ffn_dim = 8;
    ParameterList parameters({.training = false});
    const Transformer model(parameters, config);
    config.vocab_size = vocab_size;
    save_model_directory(folder, {.config = config.to_json(),
                                  .weights = parameters.values(),
                                  .tokenizer = tokenizer,
                                  .generation_config = {}});
  }
  std::string load() {
    return error_of([&] { load_model_directory(folder); });
  }
};

TEST_F(ModelDirectory, D18_MoreTokensThanRows) {
  save(10, 10, letters(11));
  EXPECT_THAT(load(), AllOf(StartsWith("E3201 " + shown(folder)), HasSubstr("ids up to 10"),
                            HasSubstr("vocab_size of config.json is 10")));
}

TEST_F(ModelDirectory, D18_RowsThatConfigJsonDoesNotCount) {
  save(9, 10, letters(10));
  EXPECT_THAT(load(), AllOf(StartsWith("E3102 " + shown(folder)), HasSubstr("9"), HasSubstr("10")));
}

// Tables are often filled up to a round number of rows.
TEST_F(ModelDirectory, D18_RowsWithoutATokenAreNoFault) {
  save(16, 16, letters(10));
  EXPECT_EQ(load(), "");
  EXPECT_EQ(load_model_directory(folder).tokenizer.size(), 10);
}

TEST_F(ModelDirectory, D18_SpecialTokensOfAnotherTokenizer) {
  save(10, 10, letters(10));
  put("tokenizer_config.json", R"({"eos_token":"</s>","pad_token":"c"})");
  EXPECT_THAT(load(), AllOf(StartsWith("E3201 "), HasSubstr("pad_token_id of config.json is 0"),
                            HasSubstr(R"("c" is 2)")));
}

}  // namespace
}  // namespace glossa
