// Trains a small model to write digits backwards, and lets it do so. Usage: train_and_translate DIRECTORY
#include <cstdio>
#include <string>
#include <vector>

#include "checkpoint/model_directory.h"
#include "generate/translator.h"
#include "train/trainer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    glossa::Recipe recipe = glossa::Recipe::parse(
        "data: {task: reverse-digits, generated_max_digits: 5, max_length: 30}\n"
        "tokenizer: {type: words, vocab_size: 16, min_frequency: 1}\n"
        "model: {d_model: 64, encoder_layers: 1, decoder_layers: 1, encoder_attention_heads: 2, decoder_attention_heads: 2,\n"
        "        encoder_ffn_dim: 128, decoder_ffn_dim: 128, max_position_embeddings: 32, dropout: 0.0}\n"
        "train: {max_steps: 400, max_tokens: 2048, warmup_steps: 40, learning_rate: 0.004, label_smoothing_factor: 0}\n"
        "decode: {max_length: 32}\n",
        "example", "");
    glossa::train(recipe, {.output_directory = argv[1], .overwrite = true});

    const glossa::LoadedModel m = glossa::load_model_directory(argv[1]);
    glossa::Translator translator({m.model.get()}, m.tokenizer, m.tokenizer, glossa::GenerationConfig::load(argv[1], m.config));
    const std::vector<std::string> lines{"1 2 3", "3 1 4 1 5"};
    for (const std::string& translation : translator.translate(lines)) std::printf("%s\n", translation.c_str());
  } catch (const glossa::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return static_cast<int>(e.exit());
  }
}
