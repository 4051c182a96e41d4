// decode_attention.h -- attention of sequences with one query each, of which decoding consists.
#pragma once
#include <vector>

#include "backend/cpu/attention_rows.h"

namespace glossa::cpu {

// For each of the sequences. Keys are taken in chunks of one length whatever else there is, so that long texts keep all
// threads busy and results do not depend on their number; chunks are joined by their maxima and sums (Dao et al.,
// "Flash-Decoding", 2023).
void decode_attention(const AttentionRows& rows, const std::vector<std::int64_t>& sequences);

}  // namespace glossa::cpu
