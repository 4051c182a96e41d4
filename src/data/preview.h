// preview.h -- a batch as the model sees it, for people: pieces, ids, and how full it is.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "data/pair_dataset.h"
#include "nn/batch.h"
#include "nn/causal.h"

namespace glossa {

// The text of one token, as the vocabulary has it.
using PieceOf = std::function<std::string(std::int32_t id)>;

// A line on the whole batch, then the first `sentences` of it: source, decoder inputs and labels, each as
// pieces and as ids one below the other. `pairs` are the batch's, of `data`. Labels of -100, which count
// nothing, show as "-".
std::string preview(const Seq2SeqBatch& batch, std::span<const std::uint64_t> pairs, const PairDataset& data,
                    const PieceOf& piece_of, std::size_t sentences);

// A line on the whole batch, then the first `sequences` of it as pieces.
std::string preview(const CausalBatch& batch, const PieceOf& piece_of, std::size_t sequences);

}  // namespace glossa
