// The products with quantised weights in plain loops, for processors without the vectors below.
#include <algorithm>
#include <cmath>

#include "backend/cpu/quantised_kernels.h"

namespace glossa::cpu {
namespace {

void multiply(const BlockForm& form, const PanelProduct& p) {
  const std::int64_t groups = p.a.k / kGroupLength;
  for (std::int64_t panel = 0; panel < p.count; ++panel)
    for (std::int64_t r = 0; r < p.rows; ++r) {
      const std::int64_t place = (p.first + panel) % kBandPanels;
      const char* band = p.bands + (p.first + panel) / kBandPanels * p.band_bytes;
      const float unit = reinterpret_cast<const BandHeader*>(band)->unit[place];
      const char* at = band + sizeof(BandHeader);
      float sums[kColumns] = {};
      for (std::int64_t g = 0; g < groups; ++g, at += form.group_bytes()) {
        const auto* numbers = reinterpret_cast<const std::uint8_t*>(at + form.numbers(place));
        const std::int8_t* q = p.a.q + r * p.a.k + g * kGroupLength;
        const float scale = p.a.scale[r * groups + g];
        const std::int32_t* sum = p.a.sum + (r * groups + g) * 2;
        for (std::int64_t s = 0; s < form.sets(); ++s) {
          const std::int32_t total = form.halves ? sum[s] : sum[0] + sum[1];
          const auto* scales = reinterpret_cast<const float16*>(at + form.scales(s, place));
          const auto* minima = reinterpret_cast<const float16*>(at + form.minima_at(s, place));
          const std::int64_t first = s * 4, last = form.halves ? first + 4 : kChunks;
          for (std::int64_t column = 0; column < kColumns; ++column) {
            std::int32_t dot = -form.zero * total;
            for (std::int64_t chunk = first; chunk < last; ++chunk)
              for (std::int64_t i = 0; i < 4; ++i) {
                const std::uint8_t byte = numbers[(form.bits == 8 ? chunk : chunk % 4) * 64 + column * 4 + i];
                const int u = form.bits == 8 ? byte : chunk < 4 ? byte & 15 : byte >> 4;
                dot += u * q[chunk * 4 + i];
              }
            sums[column] += static_cast<float>(dot) * (static_cast<float>(scales[column]) * scale);
            if (form.minima) sums[column] -= static_cast<float>(minima[column]) * (scale * static_cast<float>(total));
          }
        }
      }
      for (std::int64_t column = 0; column < kColumns; ++column) p.c[r * p.ldc + panel * kColumns + column] = unit * sums[column];
    }
}

void quantise(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum) {
  for (std::int64_t g = 0; g < k / kGroupLength; ++g, x += kGroupLength, q += kGroupLength) {
    float most = 0;
    for (int i = 0; i < kGroupLength; ++i) most = std::isnan(x[i]) || std::isnan(most) ? NAN : std::max(most, std::fabs(x[i]));
    scale[g] = most / 127;
    const float inverse = most > 0 && std::isfinite(most) ? 127 / most : 0;
    sum[2 * g] = sum[2 * g + 1] = 0;
    for (int i = 0; i < kGroupLength; ++i) {
      q[i] = std::isfinite(most) ? static_cast<std::int8_t>(std::nearbyint(x[i] * inverse)) : 1;
      sum[2 * g + i / 16] += q[i];
    }
  }
}

}  // namespace

const BlockKernels& portable_block_kernels() {
  static constexpr BlockKernels kKernels{multiply, quantise};
  return kKernels;
}

}  // namespace glossa::cpu
